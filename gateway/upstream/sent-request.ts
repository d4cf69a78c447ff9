/**
 * A request that was sent, and its answer, as a leg reads it. No answer is held back: readers take chunks in the turn in which they
 * come, and what waits all the same, for its reader or to be inflated, is bounded.
 */

import { createBrotliDecompress, createGunzip, createInflate } from "node:zlib";
import type { AnswerHead } from "./answer-parser.ts";
import type { CancelSignal } from "./cancellation.ts";
import { ChunkQueue, MAX_WAITING_BYTES } from "./chunk-queue.ts";
import type { HttpAnswer } from "./http-answer.ts";

/** Who waits for a request. */
export interface Sender {
  readonly resolve: (answer: HttpAnswer) => void;
  readonly reject: (error: Error) => void;
}

/** What carries it. */
export interface Carrier {
  readonly cut: () => void;
}

type Decoder = ReturnType<typeof createGunzip>;

const TOO_SLOW = new Error("the answer comes faster than it is read");

/** A request from its sending to the end of its answer. */
export class SentRequest implements HttpAnswer {
  readonly #signal: CancelSignal;
  readonly #sender: Sender;
  readonly #chunks = new ChunkQueue();
  readonly #onAbort = (): void => this.#fail(new Error("the request was aborted"));
  #carrier: Carrier | undefined;
  #decoder: Decoder | undefined;
  #status = 0;
  #valuesOf: AnswerHead["valuesOf"] = () => [];
  #isOver = false;

  constructor(signal: CancelSignal, sender: Sender) {
    this.#signal = signal;
    this.#sender = sender;
    signal.addEventListener("abort", this.#onAbort, { once: true });
  }

  get status(): number {
    return this.#status;
  }

  get ok(): boolean {
    return this.#status >= 200 && this.#status < 300;
  }

  /** True if nothing comes any more. */
  get isOver(): boolean {
    return this.#isOver;
  }

  header(name: string): string | undefined {
    const values = this.#valuesOf(name);
    if (values.length < 2) return values[0];
    return name === "content-type" ? values[0] : values.join(", ");
  }

  read(): Promise<Uint8Array | undefined> {
    return this.#chunks.read();
  }

  cancel(): void {
    this.#lose(new Error("nobody reads the answer"));
  }

  /** It goes out by this connection; an answer that is not whole leaves one that carries no other request. */
  goBy(carrier: Carrier): void {
    this.#carrier = carrier;
  }

  onHead(status: number, valuesOf: AnswerHead["valuesOf"]): void {
    // Interim answers say nothing that anybody here asked for.
    if (status < 200) return;
    this.#status = status;
    this.#valuesOf = valuesOf;
    this.#decoder = decoderOf(this.header("content-encoding")?.toLowerCase());
    if (this.#decoder !== undefined) this.#decode(this.#decoder);
    this.#sender.resolve(this);
  }

  onBody(chunk: Uint8Array): void {
    if (this.#decoder === undefined) this.#take(chunk);
    else if (!this.#decoder.write(chunk) && this.#decoder.writableLength > MAX_WAITING_BYTES) this.#fail(TOO_SLOW);
  }

  /** The answer came whole. */
  onEnd(): void {
    this.#close();
    if (this.#decoder === undefined) this.#chunks.end();
    else this.#decoder.end();
  }

  /** Nothing comes any more, and the answer is not whole. */
  onError(error: Error): void {
    this.#fail(error);
  }

  #fail(error: Error): void {
    if (this.#isOver) return;
    this.#close();
    this.#carrier?.cut();
    this.#sender.reject(error);
    this.#lose(error);
  }

  /** Nobody gets what comes, also if it came whole and is not decoded yet. */
  #lose(error: Error): void {
    this.#chunks.fail(error);
    this.#decoder?.destroy();
    this.#fail(error);
  }

  #close(): void {
    this.#isOver = true;
    this.#signal.removeEventListener("abort", this.#onAbort);
  }

  #take(chunk: Uint8Array): void {
    if (!this.#chunks.push(chunk)) this.#lose(TOO_SLOW);
  }

  #decode(decoder: Decoder): void {
    decoder.on("data", ({ buffer, byteOffset, length }: Uint8Array) => {
      this.#take(new Uint8Array(buffer, byteOffset, length));
    });
    decoder.once("end", () => this.#chunks.end());
    decoder.on("error", (error) => this.#lose(error));
  }
}

/** Identity is asked for; a server that compresses all the same is understood, within the same bounds. */
function decoderOf(encoding: string | undefined): Decoder | undefined {
  if (encoding === "gzip" || encoding === "x-gzip") return createGunzip();
  if (encoding === "deflate") return createInflate();
  return encoding === "br" ? createBrotliDecompress() : undefined;
}
