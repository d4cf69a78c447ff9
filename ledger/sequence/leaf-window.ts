/**
 * A map from leaf hash to index for the newest entries. Its keys are small integers cut from the hashes, which are uniform:
 * no string is made for a leaf, and whoever has the same key as another is told apart by all 32 bytes.
 */

import { equalBytes } from "../../kernel/bytes.ts";
import { HASH_BYTES, type LeafHash, type LeafHashes, parseLeafHash } from "../../kernel/merkle/hash.ts";

interface Slot {
  readonly leaf: LeafHash;
  readonly index: bigint;
  readonly next: Slot | undefined;
}

/** Mutable; leaves are not copied and must not change. */
export class LeafWindow {
  readonly #slots = new Map<number, Slot>();
  #size = 0;

  /** Number of leaves. */
  get size(): number {
    return this.#size;
  }

  get(leaf: LeafHash): bigint | undefined {
    for (let slot = this.#slots.get(keyOf(leaf)); slot !== undefined; slot = slot.next) {
      if (equalBytes(slot.leaf, leaf)) return slot.index;
    }
    return undefined;
  }

  /** Index of the i-th of some leaves. */
  find(leaves: LeafHash | LeafHashes, i = 0): bigint | undefined {
    const at = i * HASH_BYTES;
    const first = this.#slots.get(keyOf(leaves, at));
    return first === undefined ? undefined : this.get(parseLeafHash(leaves.subarray(at, at + HASH_BYTES)));
  }

  /** Takes a leaf; one that is there keeps its index. */
  add(leaf: LeafHash, index: bigint): void {
    if (this.get(leaf) !== undefined) return;
    const key = keyOf(leaf);
    this.#slots.set(key, { leaf, index, next: this.#slots.get(key) });
    this.#size += 1;
  }

  delete(leaf: LeafHash): void {
    if (this.get(leaf) === undefined) return;
    const key = keyOf(leaf);
    const rest = without(this.#slots.get(key), leaf);
    if (rest === undefined) this.#slots.delete(key);
    else this.#slots.set(key, rest);
    this.#size -= 1;
  }
}

function without(slot: Slot | undefined, leaf: LeafHash): Slot | undefined {
  if (slot === undefined) return undefined;
  return equalBytes(slot.leaf, leaf) ? slot.next : { ...slot, next: without(slot.next, leaf) };
}

/** 30 bits: what V8 keeps without a heap number. */
function keyOf(leaves: Uint8Array, at = 0): number {
  const [first, second, third, fourth] = [
    leaves[at] ?? 0,
    leaves[at + 1] ?? 0,
    leaves[at + 2] ?? 0,
    leaves[at + 3] ?? 0,
  ];
  return (first << 22) | (second << 14) | (third << 6) | (fourth >>> 2);
}
