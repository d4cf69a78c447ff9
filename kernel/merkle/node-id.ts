/**
 * Names of complete subtrees, and the split of a run of leaves into them.
 *
 * A run is cut at the largest power of two below its width (RFC 6962 §2.1), so a run that begins at a multiple of
 * its own width, rounded up to a power of two, is a row of complete subtrees of falling width.
 */

import { invariant } from "../errors.ts";
import { hashNode, type NodeHash } from "./hash.ts";

/** The complete subtree of 2^level leaves that starts at leaf index * 2^level. */
export interface NodeId {
  readonly level: number;
  readonly index: bigint;
}

/** Largest size and index + 1 that this code takes: sizes are unsigned 64-bit integers on the wire. */
export const MAX_TREE_SIZE: bigint = (1n << 64n) - 1n;

/** Largest power of two below `width`; requires width >= 2. */
export function splitPoint(width: bigint): bigint {
  return 1n << BigInt(bitLength(width - 1n) - 1);
}

/** Number of bits of `value` without leading zeros; 0 for 0. */
export function bitLength(value: bigint): number {
  return value === 0n ? 0 : value.toString(2).length;
}

/**
 * The complete subtrees that make up the leaves [start, end), left to right, widest first.
 * Requires start < end and start aligned as a valid subtree is.
 */
export function nodesOfRange(start: bigint, end: bigint): readonly NodeId[] {
  invariant(start < end, "nodesOfRange: the range is empty");
  const nodes: NodeId[] = [];
  let at = start;
  for (let level = bitLength(end - start) - 1; level >= 0; level -= 1) {
    if (((end - start) >> BigInt(level)) % 2n === 0n) continue;
    nodes.push({ level, index: at >> BigInt(level) });
    at += 1n << BigInt(level);
  }
  return nodes;
}

/** Root over the subtrees of `nodesOfRange`, in its order: folded from the right. */
export function foldRange(hashes: readonly NodeHash[]): NodeHash {
  invariant(hashes.length > 0, "foldRange: no hashes");
  return hashes.reduceRight((right, left) => hashNode(left, right));
}
