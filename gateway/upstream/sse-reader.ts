/** Server-sent events (WHATWG HTML §9.2), the part that MCP uses: names, data, ids and the wait before a stream is taken up. */

import { GatheredText } from "../wire/gathered-text.ts";

const LINE_END = /[\r\n]/u;
const FIELD = /^(data|id|retry|event)(?:: ?(.*))?$/su;
const DIGITS = /^\d{1,9}$/u;
/** An id is sent back in a header. */
const ID = /^[\x21-\x7e]{1,1024}$/u;

/**
 * What may come between two events and is of none: comments, empty lines, names without data. A server that keeps a stream alive sends a
 * few bytes in each minute; one that sends empty lines without end, perhaps out of a few compressed bytes, takes time for each.
 */
const MAX_IDLE_CHARACTERS = 1_048_576;

/** One whole event. */
export interface NamedEvent {
  readonly name: string;
  readonly data: string;
}

/** Takes the chunks of a stream and gives the data of each whole event. */
export class SseReader {
  readonly #maxBytes: number;
  #decoder = new TextDecoder("utf-8", { fatal: true });
  #lastEventId: string | undefined;
  #retryMs: number | undefined;
  /** Of the line that has not ended. */
  readonly #rest = new GatheredText();
  #data: string[] = [];
  #dataLength = 0;
  /** Of lines behind the last event that are not of the next one's data. */
  #idleLength = 0;
  #name = "";

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Id of the last whole event that had one. */
  get lastEventId(): string | undefined {
    return this.#lastEventId;
  }

  /** What the server asks to wait before its stream is taken up. */
  get retryMs(): number | undefined {
    return this.#retryMs;
  }

  /** Begins another stream that goes on where the last one ended. */
  restart(): void {
    this.#decoder = new TextDecoder("utf-8", { fatal: true });
    this.#rest.take();
    this.#data = [];
    this.#dataLength = 0;
    this.#idleLength = 0;
    this.#name = "";
  }

  /**
   * @returns the data of the events that end in this chunk; undefined if one is above the bound, or too much comes without one
   * @throws {TypeError} if the stream is not UTF-8
   */
  push(chunk: Uint8Array): readonly string[] | undefined {
    return this.pushNamed(chunk)?.map(({ data }) => data);
  }

  /** The same with the names of the events; one without is a `message`. */
  pushNamed(chunk: Uint8Array): readonly NamedEvent[] | undefined {
    const text = this.#decoder.decode(chunk, { stream: true });
    // A long line comes in many chunks: it is joined once, when it ends.
    const endsLine = LINE_END.test(text) || (text !== "" && this.#rest.last?.endsWith("\r") === true);
    this.#rest.push(text);
    const events = endsLine ? this.#takeLines() : [];
    const isAbove = this.#dataLength + this.#rest.length > this.#maxBytes || this.#idleLength > MAX_IDLE_CHARACTERS;
    return isAbove ? undefined : events;
  }

  #takeLines(): readonly NamedEvent[] {
    const text = this.#rest.take();
    // A carriage return at the end may be half of a line end.
    const whole = text.endsWith("\r") ? text.slice(0, -1) : text;
    const lines = whole.split(/\r\n|\r|\n/u);
    const rest = (lines.pop() ?? "") + text.slice(whole.length);
    this.#rest.push(rest);
    return lines.flatMap((line) => this.#takeLine(line) ?? []);
  }

  /** The event that an empty line ends, if it has data. */
  #takeLine(line: string): NamedEvent | undefined {
    if (line !== "") {
      this.#takeField(line);
      return undefined;
    }
    const [data, name, dataLength] = [this.#data, this.#name, this.#dataLength];
    this.#data = [];
    this.#dataLength = 0;
    this.#name = "";
    const isEmpty = data.length === 0 || (data.length === 1 && data[0] === "");
    this.#idleLength = isEmpty ? this.#idleLength + dataLength + 1 : 0;
    return isEmpty ? undefined : { name: name === "" ? "message" : name, data: data.join("\n") };
  }

  #takeField(line: string): void {
    const [, name, value = ""] = FIELD.exec(line) ?? [];
    if (name === "data") {
      this.#data.push(value);
      this.#dataLength += line.length;
      return;
    }
    this.#idleLength += line.length + 1;
    if (name === "event") this.#name = value;
    else if (name === "id" && ID.test(value)) this.#lastEventId = value;
    else if (name === "retry" && DIGITS.test(value)) this.#retryMs = Number(value);
  }
}
