/**
 * The serving thread's side of the sealing thread: drafts go there, hashes of durable receipts come back in the same order.
 * What is drafted in one turn of the event loop goes together. A thread that ended, or failed, is a stream that nothing can be
 * written to any more: whoever waits is told so, and nothing is accepted.
 */

import { StoreError } from "../../kernel/errors.ts";
import { matchesAll } from "../../kernel/shape-fault.ts";
import type { NamedThread } from "../egress/thread-guard.ts";
import type { NumberedDraft, Sealer } from "./sealer.ts";
import type { FromSealing, ToSealing } from "./sealing-messages.ts";

interface Waiting {
  readonly resolve: (hash: string) => void;
  readonly reject: (error: StoreError) => void;
}

const HASH = /^[0-9a-f]{64}$/u;
/** A thread that does not stop within this time is ended: nobody waits for it any more. */
const STOP_MS = 10_000;
const LONG_MS = 2 ** 30;

/**
 * The sealer over a started thread.
 *
 * @param thread  started with a `SealingOrder`
 * @param onFailed  told once, if the stream fails
 */
export function makeSealing(thread: NamedThread, onFailed: (error: StoreError) => void): Sealer {
  return new Sealing(thread, onFailed);
}

class Sealing implements Sealer {
  readonly #thread: NamedThread;
  readonly #onFailed: (error: StoreError) => void;
  /** Oldest first. */
  #waiting: Waiting[] = [];
  #drafts: NumberedDraft[] = [];
  #failure: StoreError | undefined;
  #isClosed = false;
  #onStopped: () => void = () => undefined;
  /** A thread keeps no process alive; as long as somebody waits for it, this does. */
  readonly #awake: ReturnType<typeof setInterval>;

  constructor(thread: NamedThread, onFailed: (error: StoreError) => void) {
    this.#thread = thread;
    this.#onFailed = onFailed;
    this.#awake = setInterval(() => undefined, LONG_MS).unref();
    thread.listen<FromSealing>(
      (message) => this.#take(message),
      (error) => this.#fail("the sealing thread ended", error),
    );
  }

  readonly seal = (numbered: NumberedDraft): Promise<string> =>
    new Promise((resolve, reject) => {
      if (this.#failure !== undefined) {
        reject(this.#failure);
        return;
      }
      if (this.#waiting.length === 0) this.#awake.ref();
      this.#waiting.push({ resolve, reject });
      if (this.#drafts.length === 0) queueMicrotask(this.#tellDrafts);
      this.#drafts.push(numbered);
    });

  readonly isFailed = (): boolean => this.#failure !== undefined;

  readonly close = async (): Promise<void> => {
    if (this.#isClosed) return;
    this.#isClosed = true;
    if (this.#failure === undefined) await this.#stop();
    clearInterval(this.#awake);
    await this.#thread.terminate();
    this.#fail("the receipt stream is closed", undefined);
  };

  #stop(): Promise<void> {
    return new Promise((resolve) => {
      const late = setTimeout(resolve, STOP_MS);
      this.#onStopped = () => {
        clearTimeout(late);
        resolve();
      };
      this.#tellDrafts();
      this.#tell({ type: "stop" });
    });
  }

  readonly #tellDrafts = (): void => {
    const drafts = this.#drafts;
    this.#drafts = [];
    if (drafts.length > 0 && this.#failure === undefined) this.#tell({ type: "seal", drafts });
  };

  #tell(message: ToSealing): void {
    this.#thread.tell(message);
  }

  #take(message: FromSealing): void {
    switch (message.type) {
      case "sealed":
        this.#settle(message.hashes);
        return;
      case "failed":
        this.#fail("the receipt stream cannot be written", message.why);
        return;
      case "stopped":
        this.#onStopped();
    }
  }

  #settle(hashes: readonly string[]): void {
    if (this.#failure !== undefined) return;
    if (hashes.length > this.#waiting.length || !hashes.every((hash) => matchesAll(HASH, hash))) {
      this.#fail("the sealing thread names receipts that it cannot have", undefined);
      return;
    }
    const settled = this.#waiting.splice(0, hashes.length);
    if (this.#waiting.length === 0) this.#awake.unref();
    for (const [i, { resolve }] of settled.entries()) resolve(hashes[i] ?? "");
  }

  #fail(why: string, cause: unknown): void {
    this.#onStopped();
    if (this.#failure !== undefined) return;
    const failure = new StoreError("ERR_STREAM_FAILED", why, { cause, fatal: true });
    this.#failure = failure;
    const waiting = this.#waiting;
    [this.#waiting, this.#drafts] = [[], []];
    this.#awake.unref();
    for (const { reject } of waiting) reject(failure);
    // That a thread ends which is closed, and for which nobody waits, is no news.
    if (!this.#isClosed || waiting.length > 0) this.#onFailed(failure);
  }
}
