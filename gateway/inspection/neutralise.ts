/** Strips from a text what a terminal or a model obeys and a reader does not see; wraps nothing and adds nothing. */

const SEQUENCES =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is stripped
  /(?:\x1b\[|\x9b)[0-?]{0,64}[ -/]{0,16}[@-~]|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]{0,4096}(?:\x07|\x1b\\|\x9c)?/gu;
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is stripped
const CONTROLS = /[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]/gu;
const INVISIBLE = /[\u200b\u2060\ufeff\u180e]|[\u202a-\u202e\u2066-\u2069]|[\u{e0000}-\u{e007f}]/gu;

/** Rules whose characters are gone after it. */
export const NEUTRALISED: ReadonlySet<string> = new Set([
  "unicode.ansi",
  "unicode.control",
  "unicode.tag",
  "unicode.bidi",
]);

/** The text without terminal sequences, control, tag, zero-width and reordering characters. */
export function neutraliseText(text: string): string {
  return text.replace(SEQUENCES, "").replace(CONTROLS, "").replace(INVISIBLE, "");
}
