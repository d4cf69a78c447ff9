/**
 * A map from leaf hash to index for the newest entries. Its keys are small integers cut from the hashes, which are uniform:
 * no string is made for a leaf, and whoever has the same key as another is told apart by all 32 bytes.
 */

import { equalBytes } from "../../kernel/bytes.ts";
import type { LeafHash } from "../../kernel/merkle/hash.ts";

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
function keyOf(leaf: LeafHash): number {
  return ((leaf[0] ?? 0) << 22) | ((leaf[1] ?? 0) << 14) | ((leaf[2] ?? 0) << 6) | ((leaf[3] ?? 0) >>> 2);
}
