/**
 * What waits to be checked: runs of entries in the order of the log. It is known from the turn in which they are decided,
 * so that no size is ever called checked that has an unread receipt below it.
 */

import { StoreError } from "../../kernel/errors.ts";

/** How much may wait before admission has to. */
export interface BacklogLimits {
  readonly entries: number;
  readonly bytes: number;
}

/** Entries [first, end) that nobody has read. */
interface Span {
  readonly first: bigint;
  readonly end: bigint;
}

/** Mutable. */
export class Backlog {
  readonly #limits: BacklogLimits;
  /** Entries below were there at the start; they are checked too, and hold up nobody. */
  readonly #startSize: bigint;
  #spans: Span[] = [];
  #entries = 0;
  #bytes = 0;

  /** @param checkedSize  how far the checks of an earlier run came; at most `startSize` */
  constructor(limits: BacklogLimits, checkedSize: bigint, startSize: bigint) {
    this.#limits = limits;
    this.#startSize = startSize;
    if (checkedSize < startSize) this.#spans.push({ first: checkedSize, end: startSize });
  }

  /** Index of the first entry that waits; undefined if none does. */
  get first(): bigint | undefined {
    return this.#spans[0]?.first;
  }

  /** Entries that were admitted in this run and wait. */
  get entries(): number {
    return this.#entries;
  }

  /** Their bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Share of the limits that they fill, 0 to 1. */
  get share(): number {
    return Math.max(this.#entries / this.#limits.entries, this.#bytes / this.#limits.bytes);
  }

  /** @throws {StoreError} ERR_CHECK_BACKLOG above the limits */
  requireRoom(): void {
    if (this.#entries < this.#limits.entries && this.#bytes < this.#limits.bytes) return;
    throw new StoreError("ERR_CHECK_BACKLOG", `${this.#entries} receipts wait to be checked, which is the bound`);
  }

  /** Adds a run behind all others. */
  add(first: bigint, count: number, bytes: number): void {
    const end = first + BigInt(count);
    const last = this.#spans.at(-1);
    // What was there at the start is counted apart.
    if (last?.end === first && first !== this.#startSize)
      this.#spans[this.#spans.length - 1] = { first: last.first, end };
    else this.#spans.push({ first, end });
    this.#entries += count;
    this.#bytes += bytes;
  }

  /** The first entries that wait, below `limit`, at most `count` and none behind the next multiple of `width`. */
  peek(from: bigint, limit: bigint, count: number, width: number): Span | undefined {
    const span = this.#spans.find(({ end }) => end > from);
    if (span === undefined) return undefined;
    const first = span.first > from ? span.first : from;
    const bounds = [span.end, limit, first + BigInt(count), (first / BigInt(width) + 1n) * BigInt(width)];
    const end = bounds.reduce((least, each) => (each < least ? each : least));
    return end > first ? { first, end } : undefined;
  }

  /** Takes away what was checked: everything below `end`. */
  drop(end: bigint, bytes: number, count: number): void {
    while (this.#spans[0] !== undefined && this.#spans[0].end <= end) this.#spans.shift();
    const [span] = this.#spans;
    if (span !== undefined && span.first < end) this.#spans[0] = { first: end, end: span.end };
    if (end <= this.#startSize) return;
    this.#entries -= count;
    this.#bytes -= bytes;
  }
}
