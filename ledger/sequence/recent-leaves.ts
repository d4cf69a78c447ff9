/**
 * The newest leaves of the log, in memory: runs of leaf hashes, one behind the other, each with a hash table over them. A leaf
 * costs its 32 bytes and two places of the table; no object is made for it.
 *
 * The place of a leaf in the table follows from its own bytes and from numbers that are drawn at random for each process: who
 * grinds entries cannot make them collide.
 */

import { randomFillSync } from "node:crypto";
import { HASH_BYTES, type LeafHash, type LeafHashes } from "../../kernel/merkle/hash.ts";

const WORDS = HASH_BYTES / 4;
/** Places for each leaf. */
const SPARE = 2;

/** Odd factors of the two first words of a leaf. */
const FACTORS = randomFillSync(new Uint32Array(2)).map((word) => word | 1);
const [FACTOR, OTHER_FACTOR] = [FACTORS[0] ?? 1, FACTORS[1] ?? 1];

/** A run; mutable until it is full. */
export class RecentLeaves {
  /** Index of its first leaf. */
  readonly first: number;
  /** Hashes of the leaves, in memory that threads share; 0 where there is none yet. */
  readonly bytes: Uint8Array;
  readonly #words: Uint32Array;
  /** Number in the run plus one; 0 where there is none. */
  readonly #slots: Uint32Array;
  readonly #shift: number;
  #count = 0;

  /** @param capacity  a power of two */
  constructor(first: number, capacity: number) {
    this.first = first;
    this.bytes = new Uint8Array(new SharedArrayBuffer(capacity * HASH_BYTES));
    this.#words = new Uint32Array(this.bytes.buffer);
    this.#slots = new Uint32Array(capacity * SPARE);
    this.#shift = 32 - Math.log2(capacity * SPARE);
  }

  /** Index behind its last leaf. */
  get end(): number {
    return this.first + this.#count;
  }

  /** True if it takes no more. */
  get isFull(): boolean {
    return this.#count * HASH_BYTES === this.bytes.length;
  }

  /** Takes the next leaf, which begins at byte `at`; one that is in the run already is found at its first place. Requires that it is not full. */
  add(leaves: LeafHash | LeafHashes, at = 0): void {
    const word = this.#count * WORDS;
    for (let i = 0; i < WORDS; i += 1) this.#words[word + i] = wordOf(leaves, at + 4 * i);
    const slot = this.#slotOf(leaves, at);
    if (this.#slots[slot] === 0) this.#slots[slot] = this.#count + 1;
    this.#count += 1;
  }

  /** Index of the first leaf with the hash that begins at byte `at`. */
  find(leaves: LeafHash | LeafHashes, at = 0): number | undefined {
    const number = this.#slots[this.#slotOf(leaves, at)] ?? 0;
    return number === 0 ? undefined : this.first + number - 1;
  }

  /** The slot that holds this leaf, or the empty one where it would be. */
  #slotOf(leaves: LeafHash | LeafHashes, from: number): number {
    const [first, second] = [wordOf(leaves, from), wordOf(leaves, from + 4)];
    const mask = this.#slots.length - 1;
    let slot = (Math.imul(first, FACTOR) + Math.imul(second, OTHER_FACTOR)) >>> this.#shift;
    for (; ; slot = (slot + 1) & mask) {
      const number = this.#slots[slot] ?? 0;
      if (number === 0) return slot;
      const at = (number - 1) * WORDS;
      if (this.#words[at] === first && this.#words[at + 1] === second && this.#equals(at, leaves, from)) {
        return slot;
      }
    }
  }

  #equals(at: number, leaves: LeafHash | LeafHashes, from: number): boolean {
    for (let i = 2; i < WORDS; i += 1) if (this.#words[at + i] !== wordOf(leaves, from + 4 * i)) return false;
    return true;
  }
}

/** The word there as the processor reads it, which is little-endian everywhere that Node runs. */
function wordOf(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16) | ((bytes[at + 3] ?? 0) << 24)) >>> 0
  );
}
