/**
 * A request that was sent, as undici tells of it, and its answer, as a leg reads it.
 *
 * undici can hold an answer back, and is never asked to: one that ends while it is held back loses its end, or makes undici
 * throw where nobody catches it, so that any server could end the process.
 */

import { createBrotliDecompress, createGunzip, createInflate } from "node:zlib";
import type { Dispatcher } from "undici";
import type { CancelSignal } from "./cancellation.ts";
import { ChunkQueue, MAX_WAITING_BYTES } from "./chunk-queue.ts";
import type { HttpAnswer } from "./http-answer.ts";

/** Who waits for a request. */
export interface Sender {
  /** Nothing comes any more; an answer that is not whole leaves a connection that carries no other one. Told once. */
  readonly onOver: (isWhole: boolean) => void;
  readonly resolve: (answer: HttpAnswer) => void;
  readonly reject: (error: Error) => void;
}

type Headers = Readonly<Record<string, string | string[] | undefined>>;
type Decoder = ReturnType<typeof createGunzip>;

const TOO_SLOW = new Error("the answer comes faster than it is read");

/** A request from its sending to the end of its answer. */
export class SentRequest implements HttpAnswer, Dispatcher.DispatchHandler {
  readonly #signal: CancelSignal;
  readonly #sender: Sender;
  readonly #chunks = new ChunkQueue();
  readonly #onAbort = (): void => this.#fail(new Error("the request was aborted"));
  #isSent = false;
  #decoder: Decoder | undefined;
  #status = 0;
  #headers: Headers = {};
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

  header(name: string): string | undefined {
    const value = this.#headers[name];
    if (!Array.isArray(value)) return value;
    return name === "content-type" ? value[0] : value.join(", ");
  }

  read(): Promise<Uint8Array | undefined> {
    return this.#chunks.read();
  }

  cancel(): void {
    this.#lose(new Error("nobody reads the answer"));
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    // Whoever would send a request again would tell of it: none is sent twice.
    if (this.#isSent) controller.abort(new Error("the request was sent before"));
    this.#isSent = true;
  }

  onResponseStart(_: unknown, status: number, headers: Headers): void {
    // Interim answers say nothing that anybody here asked for.
    if (status < 200) return;
    this.#status = status;
    this.#headers = headers;
    this.#decoder = decoderOf(this.header("content-encoding")?.toLowerCase());
    if (this.#decoder !== undefined) this.#decode(this.#decoder);
    this.#sender.resolve(this);
  }

  onResponseData(_: unknown, { buffer, byteOffset, length }: Uint8Array): void {
    const chunk = new Uint8Array(buffer, byteOffset, length);
    if (this.#decoder === undefined) this.#take(chunk);
    else if (!this.#decoder.write(chunk) && this.#decoder.writableLength > MAX_WAITING_BYTES) this.#fail(TOO_SLOW);
  }

  onResponseEnd(): void {
    this.#close(true);
    if (this.#decoder === undefined) this.#chunks.end();
    else this.#decoder.end();
  }

  onResponseError(_: unknown, error: Error): void {
    this.#fail(error);
  }

  #fail(error: Error): void {
    if (this.#isOver) return;
    this.#close(false);
    this.#sender.reject(error);
    this.#lose(error);
  }

  /** Nobody gets what comes, also if it came whole and is not decoded yet. */
  #lose(error: Error): void {
    this.#chunks.fail(error);
    this.#decoder?.destroy();
    this.#fail(error);
  }

  #close(isWhole: boolean): void {
    this.#isOver = true;
    this.#signal.removeEventListener("abort", this.#onAbort);
    this.#sender.onOver(isWhole);
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
