/**
 * Submission over one long request (docs/ledger.md, `POST /stream`): segments go up, acknowledgements come down as lines in
 * the same order. One segment is in flight at a time, as the outbox sends them. A stream that ends takes nothing with it:
 * what was not acknowledged is sent again on the next one, unchanged.
 */

import { StoreError } from "../../kernel/errors.ts";
import { parseJson } from "../../kernel/json/parse.ts";
import { isJsonObject, type JsonObject } from "../../kernel/json/value.ts";
import { noAnswerWithin } from "./ledger-requests.ts";

/** Begins the request with this body; resolves to its answer while the body is still open. */
export type OpenRequest = (body: ReadableStream<Uint8Array>, signal: AbortSignal) => Promise<Response>;

/** What came of one attempt. */
export type StreamAnswer =
  | { readonly type: "line"; readonly line: JsonObject }
  /** The request was answered by an error, or the stream ended in front of the acknowledgement. */
  | { readonly type: "none"; readonly answer: Response | undefined };

const LF = 0x0a;
/** A line has promises of the runs of its segment: mostly one, at the worst one for each receipt. */
const MAX_LINE_BYTES = 512 * 1024;

/** Keeps a stream open between segments, and opens the next one when it ended. */
export class LedgerStream {
  readonly #openRequest: OpenRequest;
  readonly #limitMs: number;
  #open: OpenStream | undefined;

  /** @param limitMs  longest wait for an acknowledgement */
  constructor(openRequest: OpenRequest, limitMs: number) {
    this.#openRequest = openRequest;
    this.#limitMs = limitMs;
  }

  /** Sends one segment; only one at a time. @throws {StoreError} ERR_LEDGER_ANSWER: unknown whether it arrived */
  async submit(segment: Uint8Array): Promise<StreamAnswer> {
    const isKept = this.#open !== undefined;
    const answer = await this.#attempt(segment);
    // A kept stream may have ended while nothing was sent.
    const isOver = answer.type === "none" && answer.answer === undefined;
    return isKept && isOver ? this.#attempt(segment) : answer;
  }

  /** Ends the stream that is kept open. */
  close(): void {
    this.#open?.close();
    this.#open = undefined;
  }

  async #attempt(segment: Uint8Array): Promise<StreamAnswer> {
    this.#open ??= new OpenStream(this.#openRequest);
    const open = this.#open;
    const timer = setTimeout(() => open.close(noAnswerWithin(this.#limitMs)), this.#limitMs);
    try {
      const answer = await open.send(segment);
      const isEnd = answer.type === "none" || answer.line["end"] !== undefined;
      if (isEnd) this.close();
      return isEnd && answer.type === "line" ? { type: "none", answer: undefined } : answer;
    } catch (cause) {
      this.close();
      throw new StoreError("ERR_LEDGER_ANSWER", "the ledger's stream was cut off", { cause });
    } finally {
      clearTimeout(timer);
    }
  }
}

/** One request. */
class OpenStream {
  readonly #abort = new AbortController();
  readonly #answer: Promise<Response>;
  #up: ReadableStreamDefaultController<Uint8Array> | undefined;
  #reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
  #rest: Uint8Array = new Uint8Array(0);

  constructor(openRequest: OpenRequest) {
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.#up = controller;
      },
    });
    this.#answer = openRequest(body, this.#abort.signal);
    this.#answer.catch(() => undefined);
  }

  async send(segment: Uint8Array): Promise<StreamAnswer> {
    this.#up?.enqueue(segment);
    const answer = await this.#answer;
    if (!answer.ok) return { type: "none", answer };
    this.#reader ??= answer.body?.getReader();
    const line = await this.#readLine();
    return line === undefined ? { type: "none", answer: undefined } : { type: "line", line };
  }

  /** @param why  what is under way ends with this; without it, as aborted */
  close(why?: DOMException): void {
    this.#abort.abort(why);
  }

  /** The next line; undefined where the answer ends. */
  async #readLine(): Promise<JsonObject | undefined> {
    for (;;) {
      const end = this.#rest.indexOf(LF);
      if (end !== -1) {
        const line = this.#rest.slice(0, end);
        this.#rest = this.#rest.slice(end + 1);
        const value = parseJson(line, { maxBytes: MAX_LINE_BYTES });
        return isJsonObject(value) ? value : {};
      }
      if (this.#rest.length > MAX_LINE_BYTES) throw new StoreError("ERR_LEDGER_ANSWER", "a line that is too long");
      const part = await this.#reader?.read();
      if (part?.value === undefined) return undefined;
      this.#rest = Buffer.concat([this.#rest, part.value]);
    }
  }
}
