/**
 * A Bloom filter over leaf hashes: what it does not hold is certainly new, so that the index on disk is asked about
 * repetitions only. It grows by generations, and is blocked: one look touches one cache line a generation.
 *
 * It looks at the first 8 bytes of a leaf hash alone, which the tables of the leaf store have too. They are uniform already: the
 * upper half chooses the block, and the bits in it come from all 8, multiplied. Someone who grinds entries until they collide here
 * makes the leaf store be asked once more, and nothing else.
 */

import type { LeafHash, LeafHashes } from "../../kernel/merkle/hash.ts";

const BLOCK_WORDS = 16;
const BLOCK_BIT_MASK = BLOCK_WORDS * 32 - 1;
/** Leaves a block is made for: 512 bits for 24 leaves are 21 bits each, about one look in 5,000 is in vain. */
const LEAVES_A_BLOCK = 24;
const BIT_BITS = 9;
/** Odd, with bits all over: those of the golden ratio, and of murmur3's last step. */
const [FACTOR, OTHER_FACTOR] = [0x9e3779b1, 0x85ebca6b];
const FIRST_BLOCKS = 1 << 10;
/** From here on a generation is twice the one before: a look touches one line more each time that the log doubles. */
const STEADY_BLOCKS = 1 << 17;

/** A generation; mutable. */
export interface FilterPart {
  /** Blocks, in memory that threads share. */
  readonly words: Uint32Array;
  /** Leaves that it has room for. */
  left: number;
}

/** A part for so many leaves, at 2.7 bytes each. */
export function makePart(leaves: number): FilterPart {
  return makeGeneration(Math.max(1, Math.ceil(leaves / LEAVES_A_BLOCK)));
}

/** Adds a leaf to a part. @param high, low  the first two words of its hash, unsigned */
export function addToPart(part: FilterPart, high: number, low: number): void {
  part.left -= 1;
  const { words } = part;
  const base = baseOf(high, words);
  setAll(words, base, firstBits(low));
  setAll(words, base, secondBits(high, low));
}

/** Grows without bound by 2.7 to 7 bytes a leaf; mutable. */
export class LeafFilter {
  readonly #generations: FilterPart[] = [makeGeneration(FIRST_BLOCKS)];

  /** Bytes that it takes in memory. */
  get bytes(): number {
    return this.#generations.reduce((total, { words }) => total + words.byteLength, 0);
  }

  /** Takes the leaf that begins at byte `at`. */
  add(leaves: LeafHash | LeafHashes, at = 0): void {
    addToPart(this.#roomyGeneration(), wordOf(leaves, at), wordOf(leaves, at + 4));
  }

  /** Takes a part that was filled elsewhere; nothing is added to it any more. */
  adopt(part: FilterPart): void {
    this.#generations.unshift(part);
  }

  /** False if the leaf that begins at byte `at` was certainly never added. */
  mayHold(leaves: LeafHash | LeafHashes, at = 0): boolean {
    const [high, low] = [wordOf(leaves, at), wordOf(leaves, at + 4)];
    for (const { words } of this.#generations) if (holds(words, high, low)) return true;
    return false;
  }

  #roomyGeneration(): FilterPart {
    const newest = this.#generations[this.#generations.length - 1];
    if (newest !== undefined && newest.left > 0) return newest;
    const next = makeGeneration(newest === undefined ? FIRST_BLOCKS : blocksBehind(newest.words.length / BLOCK_WORDS));
    this.#generations.push(next);
    return next;
  }
}

/** Blocks of the generation behind one of so many. */
export function blocksBehind(blocks: number): number {
  return blocks * (blocks < STEADY_BLOCKS ? 4 : 2);
}

function makeGeneration(blocks: number): FilterPart {
  const memory = new SharedArrayBuffer(blocks * BLOCK_WORDS * Uint32Array.BYTES_PER_ELEMENT);
  return { words: new Uint32Array(memory), left: blocks * LEAVES_A_BLOCK };
}

function holds(words: Uint32Array, high: number, low: number): boolean {
  const base = baseOf(high, words);
  return holdsAll(words, base, firstBits(low)) && holdsAll(words, base, secondBits(high, low));
}

function holdsAll(words: Uint32Array, base: number, bits: number): boolean {
  return (
    isSet(words, base, bits) &&
    isSet(words, base, bits >>> BIT_BITS) &&
    isSet(words, base, bits >>> (2 * BIT_BITS)) &&
    isSet(words, base, (bits >>> (2 * BIT_BITS + 5)) ^ (bits << 3))
  );
}

/** 32 bits for four places in the block. */
function firstBits(low: number): number {
  const bits = Math.imul(low, FACTOR);
  return bits ^ (bits >>> 15);
}

/** 32 more; those of the upper word that choose the block say nothing more, so its lower ones come first. */
function secondBits(high: number, low: number): number {
  const bits = Math.imul(high ^ ((low << 16) | (low >>> 16)), OTHER_FACTOR);
  return bits ^ (bits >>> 13);
}

function setAll(words: Uint32Array, base: number, bits: number): void {
  set(words, base, bits);
  set(words, base, bits >>> BIT_BITS);
  set(words, base, bits >>> (2 * BIT_BITS));
  set(words, base, (bits >>> (2 * BIT_BITS + 5)) ^ (bits << 3));
}

function set(words: Uint32Array, base: number, bits: number): void {
  const bit = bits & BLOCK_BIT_MASK;
  const at = base + (bit >>> 5);
  words[at] = (words[at] ?? 0) | (1 << (bit & 31));
}

function isSet(words: Uint32Array, base: number, bits: number): boolean {
  const bit = bits & BLOCK_BIT_MASK;
  return ((words[base + (bit >>> 5)] ?? 0) & (1 << (bit & 31))) !== 0;
}

/** First word of the block. */
function baseOf(high: number, words: Uint32Array): number {
  return Math.floor((high / 2 ** 32) * (words.length / BLOCK_WORDS)) * BLOCK_WORDS;
}

function wordOf(leaf: Uint8Array, at: number): number {
  return (
    (((leaf[at] ?? 0) << 24) | ((leaf[at + 1] ?? 0) << 16) | ((leaf[at + 2] ?? 0) << 8) | (leaf[at + 3] ?? 0)) >>> 0
  );
}
