/**
 * How one witness has answered: what operators see, and when it may be asked again. One failure costs nothing; from the
 * second in a row on the witness is left alone for a time that doubles, with jitter, so that many logs do not come back
 * to it in the same moment.
 */

/** What anybody may know of a witness of the policy. Times are POSIX seconds. */
export type WitnessHealthView = {
  readonly url: string;
  /** null before the first. */
  readonly last_success: number | null;
  /** Why it last did not cosign; null if it never failed. */
  readonly last_error: string | null;
  readonly last_error_time: number | null;
  /** From request to answer of the last cosignature. */
  readonly latency_ms: number | null;
  readonly consecutive_failures: number;
  /** It is not asked before this time; null if it may be asked now. */
  readonly asked_again: number | null;
};

/** The outside world of a health record. */
export interface HealthParts {
  readonly nowMs: () => number;
  /** From 0 up to 1. */
  readonly random: () => number;
}

const FIRST_BACKOFF_MS = 250;
const MAX_BACKOFF_MS = 30_000;

/** The record of one witness. */
export class WitnessHealth {
  readonly #url: string;
  readonly #parts: HealthParts;
  #successMs: number | undefined;
  #error: { readonly reason: string; readonly atMs: number } | undefined;
  #latencyMs: number | undefined;
  #failures = 0;
  #notBeforeMs = 0;

  constructor(url: string, parts: HealthParts) {
    this.#url = url;
    this.#parts = parts;
  }

  /** False while the witness is left alone. */
  get mayBeAsked(): boolean {
    return this.#parts.nowMs() >= this.#notBeforeMs;
  }

  /** It cosigned. */
  succeeded(latencyMs: number): void {
    this.#successMs = this.#parts.nowMs();
    this.#latencyMs = latencyMs;
    [this.#failures, this.#notBeforeMs] = [0, 0];
  }

  /** It did not. @param retryAfterMs  what it asked for, if it did */
  failed(reason: string, retryAfterMs = 0): void {
    const now = this.#parts.nowMs();
    this.#error = { reason, atMs: now };
    this.#failures += 1;
    const doubled = this.#failures < 2 ? 0 : FIRST_BACKOFF_MS * 2 ** Math.min(this.#failures - 1, 16);
    const backoff = Math.min(MAX_BACKOFF_MS, doubled) * (0.5 + this.#parts.random() / 2);
    this.#notBeforeMs = now + Math.max(backoff, Math.min(retryAfterMs, MAX_BACKOFF_MS));
  }

  /** The record as it is shown. */
  view(): WitnessHealthView {
    return {
      url: this.#url,
      last_success: seconds(this.#successMs),
      last_error: this.#error?.reason ?? null,
      last_error_time: seconds(this.#error?.atMs),
      latency_ms: this.#latencyMs === undefined ? null : Math.round(this.#latencyMs),
      consecutive_failures: this.#failures,
      asked_again: this.mayBeAsked ? null : seconds(this.#notBeforeMs),
    };
  }
}

function seconds(ms: number | undefined): number | null {
  return ms === undefined ? null : Math.floor(ms / 1000);
}
