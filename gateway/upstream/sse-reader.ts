/** Server-sent events (WHATWG HTML §9.2), the part that MCP uses: the data of each event, within a bound. */

const DATA = /^data(?:: ?(.*))?$/su;

/** Takes the chunks of a stream and gives the data of each whole event. */
export class SseReader {
  readonly #maxBytes: number;
  readonly #decoder = new TextDecoder("utf-8", { fatal: true });
  #rest = "";
  #data: string[] = [];
  #length = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /**
   * @returns the data of the events that end in this chunk; undefined if one is above the bound
   * @throws {TypeError} if the stream is not UTF-8
   */
  push(chunk: Uint8Array): readonly string[] | undefined {
    const text = this.#rest + this.#decoder.decode(chunk, { stream: true });
    // A carriage return at the end may be half of a line end.
    const whole = text.endsWith("\r") ? text.slice(0, -1) : text;
    const lines = whole.split(/\r\n|\r|\n/u);
    this.#rest = (lines.pop() ?? "") + text.slice(whole.length);
    const events: string[] = [];
    for (const line of lines) {
      const event = this.#takeLine(line);
      if (event !== undefined) events.push(event);
    }
    return this.#length + this.#rest.length > this.#maxBytes ? undefined : events;
  }

  /** The data of the event that an empty line ends. */
  #takeLine(line: string): string | undefined {
    if (line !== "") {
      const found = DATA.exec(line);
      if (found !== null) {
        this.#data.push(found[1] ?? "");
        this.#length += line.length;
      }
      return undefined;
    }
    const data = this.#data;
    this.#data = [];
    this.#length = 0;
    return data.length === 0 || (data.length === 1 && data[0] === "") ? undefined : data.join("\n");
  }
}
