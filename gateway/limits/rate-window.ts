/**
 * Calls of the last minute of one counter, in buckets of a second. A call counts until its whole second is a minute old,
 * so no sixty seconds ever hold more than the budget.
 */

/** What a counter holds now. */
export interface Counts {
  readonly consumed: number;
  /** Taken by calls whose end is not known. */
  readonly reserved: number;
}

/** One call's place in a counter. One of the two is called, once. */
export interface Unit {
  readonly charge: () => void;
  readonly release: () => void;
}

class Reserved implements Unit {
  readonly #window: RateWindow;
  readonly #bucket: Bucket;

  constructor(window: RateWindow, bucket: Bucket) {
    this.#window = window;
    this.#bucket = bucket;
  }

  charge(): void {
    this.#window.change(this.#bucket, 1, -1);
  }

  release(): void {
    this.#window.change(this.#bucket, 0, -1);
  }
}

interface Bucket {
  readonly second: number;
  consumed: number;
  reserved: number;
  /** True once it is too old, or was empty: the sums are without it. */
  isForgotten: boolean;
}

const BUCKET_MS = 1000;
/** The last sixty whole seconds and the one that runs. */
const BUCKETS = 61;

/** One counter. Times are those of a clock that never goes back. */
export class RateWindow {
  /** Oldest first; at most 61. */
  readonly #buckets: Bucket[] = [];

  /** Of all of them together. */
  #consumed = 0;
  #reserved = 0;

  counts(nowMs: number): Counts {
    this.#forget(nowMs);
    return { consumed: this.#consumed, reserved: this.#reserved };
  }

  /** What is consumed and what is reserved, together. */
  taken(nowMs: number): number {
    this.#forget(nowMs);
    return this.#consumed + this.#reserved;
  }

  /** Takes a place; whether there is one is the caller's to ask. */
  reserve(nowMs: number): Unit {
    const bucket = this.#current(nowMs);
    this.change(bucket, 0, 1);
    return new Reserved(this, bucket);
  }

  /** Of a place that was taken here; for that place alone. */
  change(bucket: Bucket, consumed: number, reserved: number): void {
    bucket.consumed += consumed;
    bucket.reserved += reserved;
    if (bucket.isForgotten) return;
    this.#consumed += consumed;
    this.#reserved += reserved;
  }

  /** Milliseconds until the oldest call is forgotten; 0 if there is none. */
  freesInMs(nowMs: number): number {
    this.#forget(nowMs);
    const [oldest] = this.#buckets;
    return oldest === undefined ? 0 : Math.max(0, Math.ceil((oldest.second + BUCKETS) * BUCKET_MS - nowMs));
  }

  isEmpty(nowMs: number): boolean {
    return this.taken(nowMs) === 0;
  }

  #current(nowMs: number): Bucket {
    const second = Math.floor(nowMs / BUCKET_MS);
    const last = this.#buckets.at(-1);
    if (last !== undefined && last.second === second) return last;
    const bucket = { second, consumed: 0, reserved: 0, isForgotten: false };
    this.#buckets.push(bucket);
    return bucket;
  }

  /** Lets go of what is too old, and of seconds in front whose calls were released. */
  #forget(nowMs: number): void {
    const oldest = Math.floor(nowMs / BUCKET_MS) - BUCKETS;
    for (;;) {
      const first = this.#buckets[0];
      if (first === undefined || (first.second > oldest && first.consumed + first.reserved > 0)) return;
      this.#buckets.shift();
      first.isForgotten = true;
      this.#consumed -= first.consumed;
      this.#reserved -= first.reserved;
    }
  }
}
