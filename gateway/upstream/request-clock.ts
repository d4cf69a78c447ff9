/** The time limits of one request: to the first byte, of silence, in all; and its cancellation. */

import { Cancellation, type CancelSignal } from "./cancellation.ts";
import { pause } from "./pause.ts";
import type { UpstreamReply } from "./upstream.ts";
import type { UpstreamLimits } from "./upstream-limits.ts";

/** The limits of one request. */
export type RequestLimits = Pick<UpstreamLimits, "firstByteMs" | "idleMs" | "totalMs">;

/** What a request ends with that came to no answer. */
export type Failure = Extract<UpstreamReply, { type: "failed" }>;

/** Between two looks at most: a timer cannot wait longer, and a limit may be infinite. */
const MAX_TIMER_MS = 2 ** 30;

/** Runs from its making until `stop`, which aborts it unless the answer has been read to its end (`end`). */
export class RequestClock extends Cancellation {
  readonly #idleMs: number;
  readonly #ends: readonly CancelSignal[];
  readonly #onCancel = (): void => this.#fail("cancelled", "client.cancelled");
  readonly #onTimer = (): void => this.#look();
  /** One timer for both limits: most requests end long before, and each byte only moves the moment. */
  #timer: NodeJS.Timeout;
  #timerAtMs: number;
  #silentAtMs: number;
  readonly #endAtMs: number;
  #holds = 0;
  #isStopped = false;
  #why: Failure | undefined;

  /** @param ends  what cancels the request */
  constructor({ firstByteMs, idleMs, totalMs }: RequestLimits, ends: readonly CancelSignal[]) {
    super();
    const nowMs = performance.now();
    const firstMs = Math.min(firstByteMs, totalMs, MAX_TIMER_MS);
    this.#idleMs = idleMs;
    this.#ends = ends;
    this.#silentAtMs = nowMs + firstByteMs;
    this.#endAtMs = nowMs + totalMs;
    this.#timerAtMs = nowMs + firstMs;
    this.#timer = setTimeout(this.#onTimer, firstMs);
    for (const end of ends) {
      if (end.aborted) this.#onCancel();
      end.addEventListener("abort", this.#onCancel, { once: true });
    }
  }

  /** Why the request was aborted, if it was. */
  get failure(): Failure | undefined {
    return this.#why;
  }

  /** Something of the answer came. */
  onByte(): void {
    this.#silentAtMs = performance.now() + this.#idleMs;
    if (this.#silentAtMs < this.#timerAtMs) this.#look();
  }

  /** Silence does not count while somebody else is waited for. */
  async during<T>(waiting: Promise<T>): Promise<T> {
    this.#holds += 1;
    try {
      return await waiting;
    } finally {
      this.#holds -= 1;
      if (!this.#isStopped) this.onByte();
    }
  }

  /** Resolves after `ms`, or when the request is over. */
  wait(ms: number): Promise<void> {
    return pause(ms, this);
  }

  /** The request is over. */
  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    for (const end of this.#ends) end.removeEventListener("abort", this.#onCancel);
    this.abort();
  }

  /** Ends the request if one of its moments is there, and looks again at the next one. */
  #look(): void {
    const nowMs = performance.now();
    const dueMs = this.#holds > 0 ? this.#endAtMs : Math.min(this.#silentAtMs, this.#endAtMs);
    clearTimeout(this.#timer);
    if (dueMs <= nowMs) {
      this.#fail("timeout", "upstream.timeout");
      return;
    }
    const waitMs = Math.min(Math.ceil(dueMs - nowMs), MAX_TIMER_MS);
    this.#timerAtMs = nowMs + waitMs;
    this.#timer = setTimeout(this.#onTimer, waitMs);
  }

  #fail(status: Failure["status"], reason: Failure["reason"]): void {
    this.#why ??= { type: "failed", status, effect: "unknown", reason };
    this.abort();
  }
}
