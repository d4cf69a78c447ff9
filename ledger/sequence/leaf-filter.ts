/**
 * A Bloom filter over leaf hashes: what it does not hold is certainly new, so that the index on disk is asked about
 * repetitions only. It grows by generations, and is blocked: one look touches one cache line a generation.
 *
 * Leaf hashes are uniform already, so their own bytes are the probes: four for the block, two for each bit in it. Someone who
 * grinds entries until they collide here makes the index be asked once more, and nothing else.
 */

import type { LeafHash } from "../../kernel/merkle/hash.ts";

const BLOCK_WORDS = 16;
const BLOCK_BIT_MASK = BLOCK_WORDS * 32 - 1;
/** Leaves a block is made for: 512 bits for 32 leaves are 16 bits each, about one look in 1,000 is in vain. */
const LEAVES_A_BLOCK = 32;
const PROBES = 8;
const FIRST_PROBE_BYTE = 4;
const FIRST_BLOCKS = 1 << 10;
const LAST_BLOCKS = 1 << 17;

/** A generation; mutable. */
export interface FilterPart {
  /** Blocks, in memory that threads share. */
  readonly words: Uint32Array;
  /** Leaves that it has room for. */
  left: number;
}

/** A part for so many leaves, at 2 bytes each. */
export function makePart(leaves: number): FilterPart {
  return makeGeneration(Math.max(1, Math.ceil(leaves / LEAVES_A_BLOCK)));
}

/** Adds a leaf to a part. */
export function addToPart(part: FilterPart, leaf: LeafHash): void {
  part.left -= 1;
  const base = baseOf(leaf, part);
  for (let i = 0; i < PROBES; i += 1) {
    const bit = bitOf(leaf, i);
    const at = base + (bit >>> 5);
    part.words[at] = (part.words[at] ?? 0) | (1 << (bit & 31));
  }
}

/** Grows without bound by 2 bytes a leaf; mutable. */
export class LeafFilter {
  readonly #generations: FilterPart[] = [makeGeneration(FIRST_BLOCKS)];

  /** Bytes that it takes in memory. */
  get bytes(): number {
    return this.#generations.reduce((total, { words }) => total + words.byteLength, 0);
  }

  /** Takes a leaf. */
  add(leaf: LeafHash): void {
    addToPart(this.#roomyGeneration(), leaf);
  }

  /** Takes a part that was filled elsewhere; nothing is added to it any more. */
  adopt(part: FilterPart): void {
    this.#generations.unshift(part);
  }

  /** False if the leaf was certainly never added. */
  mayHold(leaf: LeafHash): boolean {
    return this.#generations.some((generation) => holds(generation, leaf));
  }

  #roomyGeneration(): FilterPart {
    const newest = this.#generations[this.#generations.length - 1];
    if (newest !== undefined && newest.left > 0) return newest;
    const blocks = newest === undefined ? FIRST_BLOCKS : Math.min(LAST_BLOCKS, (newest.words.length / BLOCK_WORDS) * 4);
    const next = makeGeneration(blocks);
    this.#generations.push(next);
    return next;
  }
}

function makeGeneration(blocks: number): FilterPart {
  const memory = new SharedArrayBuffer(blocks * BLOCK_WORDS * Uint32Array.BYTES_PER_ELEMENT);
  return { words: new Uint32Array(memory), left: blocks * LEAVES_A_BLOCK };
}

function holds(generation: FilterPart, leaf: LeafHash): boolean {
  const base = baseOf(leaf, generation);
  for (let i = 0; i < PROBES; i += 1) {
    const bit = bitOf(leaf, i);
    if (((generation.words[base + (bit >>> 5)] ?? 0) & (1 << (bit & 31))) === 0) return false;
  }
  return true;
}

/** First word of the leaf's block. */
function baseOf(leaf: LeafHash, { words }: FilterPart): number {
  const number = ((leaf[0] ?? 0) << 24) | ((leaf[1] ?? 0) << 16) | ((leaf[2] ?? 0) << 8) | (leaf[3] ?? 0);
  return Math.floor(((number >>> 0) / 2 ** 32) * (words.length / BLOCK_WORDS)) * BLOCK_WORDS;
}

/** The i-th bit in the block. */
function bitOf(leaf: LeafHash, i: number): number {
  const at = FIRST_PROBE_BYTE + 2 * i;
  return (((leaf[at] ?? 0) << 8) | (leaf[at + 1] ?? 0)) & BLOCK_BIT_MASK;
}
