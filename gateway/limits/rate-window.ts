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

interface Bucket {
  readonly second: number;
  consumed: number;
  reserved: number;
}

const BUCKET_MS = 1000;
/** The last sixty whole seconds and the one that runs. */
const BUCKETS = 61;

/** One counter. Times are those of a clock that never goes back. */
export class RateWindow {
  /** Oldest first; at most 61. */
  readonly #buckets: Bucket[] = [];

  counts(nowMs: number): Counts {
    this.#forget(nowMs);
    let consumed = 0;
    let reserved = 0;
    for (const bucket of this.#buckets) {
      consumed += bucket.consumed;
      reserved += bucket.reserved;
    }
    return { consumed, reserved };
  }

  /** Takes a place; whether there is one is the caller's to ask. */
  reserve(nowMs: number): Unit {
    const bucket = this.#current(nowMs);
    bucket.reserved += 1;
    const settle = (consumed: number): void => {
      bucket.reserved -= 1;
      bucket.consumed += consumed;
    };
    return { charge: () => settle(1), release: () => settle(0) };
  }

  /** Milliseconds until the oldest call is forgotten; 0 if there is none. */
  freesInMs(nowMs: number): number {
    this.#forget(nowMs);
    const [oldest] = this.#buckets;
    return oldest === undefined ? 0 : Math.max(0, Math.ceil((oldest.second + BUCKETS) * BUCKET_MS - nowMs));
  }

  isEmpty(nowMs: number): boolean {
    const { consumed, reserved } = this.counts(nowMs);
    return consumed + reserved === 0;
  }

  #current(nowMs: number): Bucket {
    const second = Math.floor(nowMs / BUCKET_MS);
    const last = this.#buckets.at(-1);
    if (last !== undefined && last.second === second) return last;
    const bucket = { second, consumed: 0, reserved: 0 };
    this.#buckets.push(bucket);
    return bucket;
  }

  /** Lets go of what is too old, and of seconds in front whose calls were released. */
  #forget(nowMs: number): void {
    const oldest = Math.floor(nowMs / BUCKET_MS) - BUCKETS;
    const isOver = ({ second, consumed, reserved }: Bucket): boolean => second <= oldest || consumed + reserved === 0;
    for (let [first] = this.#buckets; first !== undefined && isOver(first); [first] = this.#buckets) {
      this.#buckets.shift();
    }
  }
}
