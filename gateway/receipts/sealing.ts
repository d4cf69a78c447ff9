/**
 * The serving thread's side of the sealing thread: drafts go there, hashes of durable receipts come back in the same order.
 * What is drafted in one turn of the event loop goes together. A thread that ended, or failed, is a stream that nothing can be
 * written to any more: whoever waits is told so, and nothing is accepted.
 *
 * The serving thread seals a receipt itself (borrowed-end.ts) if it is the decision or the outcome of the only open call and the
 * sealing thread has no draft: no other call waits then while the serving thread writes. Of receipts of no call, as of denials, there
 * may be many at a time: those share the thread's writes.
 */

import { StoreError } from "../../kernel/errors.ts";
import { matchesAll } from "../../kernel/shape-fault.ts";
import type { NamedThread } from "../egress/thread-guard.ts";
import { BorrowedEnd, type BorrowedEndOptions } from "./borrowed-end.ts";
import type { NumberedDraft, Sealer } from "./sealer.ts";
import type { FromSealing, ToSealing } from "./sealing-messages.ts";
import type { StreamRoom } from "./stream-log.ts";

interface Waiting {
  readonly resolve: (hash: string) => void;
  readonly reject: (error: StoreError) => void;
}

const HASH = /^[0-9a-f]{64}$/u;
/** A thread that does not stop within this time is ended: nobody waits for it any more. */
const STOP_MS = 10_000;
const LONG_MS = 2 ** 30;

/** What sealing over a thread needs. */
export interface SealingOptions extends Omit<BorrowedEndOptions, "onIdle"> {
  /** Started with a `SealingOrder`. */
  readonly thread: NamedThread;
  /** How many calls have a decision and no outcome, by the receipts that have their numbers. */
  readonly openCalls: () => number;
  /** Told once, if the stream fails. */
  readonly onFailed: (error: StoreError) => void;
}

/** The sealer over a started thread. */
export function makeSealing(options: SealingOptions): Sealer {
  return new Sealing(options);
}

class Sealing implements Sealer {
  readonly #options: SealingOptions;
  readonly #end: BorrowedEnd;
  /** Whose drafts are with the thread or on their way there, oldest first. */
  #waiting: Waiting[] = [];
  #drafts: NumberedDraft[] = [];
  /** Open calls before the next receipt. */
  #calls = 0;
  #failure: StoreError | undefined;
  #isClosed = false;
  #onStopped: () => void = () => undefined;
  /** A thread keeps no process alive; as long as somebody waits for it, this does. */
  readonly #awake: ReturnType<typeof setInterval>;

  constructor(options: SealingOptions) {
    this.#options = options;
    this.#end = new BorrowedEnd({
      ...options,
      onFailed: ({ cause }) => this.#fail("the receipt stream cannot be written", cause),
      onIdle: () => this.#tellDrafts(),
    });
    this.#awake = setInterval(() => undefined, LONG_MS).unref();
    options.thread.listen<FromSealing>(
      (message) => this.#take(message),
      (error) => this.#fail("the sealing thread ended", error),
    );
  }

  readonly seal = (numbered: NumberedDraft): Promise<string> => {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    // The file is about to be cut to its length: what came now could be cut off after it was answered for.
    if (this.#isClosed) return Promise.reject(new StoreError("ERR_STREAM_CLOSED", "the receipt stream is closed"));
    const isAlone = this.#isOfOneCall();
    const isOurs = isAlone && numbered.state === undefined && this.#waiting.length === 0 && this.#end.hasRoom();
    return isOurs ? this.#end.seal(numbered) : this.#sealThere(numbered);
  };

  /** Whether the receipt opens or ends a call, and no other one is open. */
  #isOfOneCall(): boolean {
    const before = this.#calls;
    this.#calls = this.#options.openCalls();
    return before + this.#calls === 1;
  }

  #sealThere(numbered: NumberedDraft): Promise<string> {
    return new Promise((resolve, reject) => {
      if (this.#waiting.length === 0) this.#awake.ref();
      this.#waiting.push({ resolve, reject });
      // Behind everything that this turn of the event loop was woken for: a message, a write and a sync for all of it.
      if (this.#drafts.length === 0) setImmediate(this.#tellDrafts);
      this.#drafts.push(numbered);
    });
  }

  readonly isFailed = (): boolean => this.#failure !== undefined;

  readonly close = async (): Promise<void> => {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#end.drain();
    if (this.#failure === undefined) await this.#stop();
    await this.#end.close();
    clearInterval(this.#awake);
    await this.#options.thread.terminate();
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
      const end = this.#end.giveBack();
      this.#tell(end === undefined ? { type: "stop" } : { type: "stop", end });
    });
  }

  /** Behind what is being sealed here. */
  readonly #tellDrafts = (): void => {
    if (this.#drafts.length === 0 || this.#failure !== undefined || this.#end.isBusy) return;
    const drafts = this.#drafts;
    this.#drafts = [];
    const end = this.#end.giveBack();
    this.#tell(end === undefined ? { type: "seal", drafts } : { type: "seal", drafts, end });
  };

  #tell(message: ToSealing): void {
    this.#options.thread.tell(message);
  }

  #take(message: FromSealing): void {
    switch (message.type) {
      case "sealed":
        this.#settle(message.hashes, message.loan);
        return;
      case "failed":
        this.#fail("the receipt stream cannot be written", message.why);
        return;
      case "stopped":
        this.#onStopped();
    }
  }

  #settle(hashes: readonly string[], loan: StreamRoom | undefined): void {
    if (this.#failure !== undefined) return;
    if (hashes.length > this.#waiting.length || !hashes.every((hash) => matchesAll(HASH, hash))) {
      this.#fail("the sealing thread names receipts that it cannot have", undefined);
      return;
    }
    // With drafts on their way there the end is the thread's again.
    const isOurs = loan !== undefined && hashes.length === this.#waiting.length;
    if (isOurs && !this.#end.take(loan, hashes.at(-1) ?? "")) {
      this.#fail("the sealing thread lends a place that it cannot have", undefined);
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
    const isWaitedFor = waiting.length > 0 || this.#end.isBusy;
    if (!this.#isClosed || isWaitedFor) this.#options.onFailed(failure);
  }
}
