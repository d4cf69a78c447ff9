/** JSON for a peer that reads lines. To it a line end between two tokens ends the message, and what is behind it is another one. */

const LINE_ENDS = /[\r\n]/gu;
const LINE_FEED = 0x0a;
/** Text streams of several runtimes take it for a line end, too. */
const CARRIAGE_RETURN = 0x0d;

/** The same JSON on one line: line ends stand between tokens only, since JSON escapes them in strings. */
export function oneLine(json: string): string {
  return json.replace(LINE_ENDS, " ");
}

/** True for a message that is one line to whoever reads lines. */
export function isOneLine(message: Uint8Array): boolean {
  return !message.includes(LINE_FEED) && !message.includes(CARRIAGE_RETURN);
}
