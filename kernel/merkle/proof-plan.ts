/**
 * The one primitive of all Merkle proofs: SUBTREE_PROOF(start, end, size) of draft-ietf-plants-merkle-tree-certs §4.
 *
 *     inclusion of leaf i in size n = SUBTREE_PROOF(i, i + 1, n)       RFC 6962 §2.1.1
 *     consistency of m with n       = SUBTREE_PROOF(0, m, n)           RFC 6962 §2.1.2
 *
 * A plan is pure: it says which complete subtrees to read, and how their hashes fold. The prover reads and folds them
 * into proof hashes; the checker folds proof hashes into the subtree's hash and the root.
 */

import { CheckError } from "../errors.ts";
import { bitLength, MAX_TREE_SIZE, type NodeId, nodesOfRange, splitPoint } from "./node-id.ts";

/** One proof hash: the root over a run of leaves, and on which side of what is known so far it goes. */
export interface ProofStep {
  /** Complete subtrees of the run, left to right; more than one only at the right edge of the tree. */
  readonly nodes: readonly NodeId[];
  /** `seed`: the first value of both folds. `left`, `right`: the side of this hash. */
  readonly side: "seed" | "left" | "right";
  /** True if the run lies inside the proven subtree, so that its hash is part of the subtree's hash too. */
  readonly inside: boolean;
}

/** One step a proof hash, innermost first. Without a seed step, both folds begin with the subtree's own hash. */
export interface ProofPlan {
  readonly steps: readonly ProofStep[];
}

/**
 * True if [start, end) is a subtree of some tree: not empty, and start a multiple of the width rounded up to a power of
 * two. It need not be full: [8, 13) is valid, [2, 5) is not.
 */
export function isValidSubtree(start: bigint, end: bigint): boolean {
  if (start < 0n || end <= start) return false;
  return start % (1n << BigInt(bitLength(end - start - 1n))) === 0n;
}

/**
 * Plans the proof that the subtree [start, end) belongs to the tree of `size` leaves.
 *
 * @throws {CheckError} ERR_SUBTREE_RANGE unless the subtree is valid, not empty, and end <= size < 2^64
 * @see draft-ietf-plants-merkle-tree-certs §4.4
 */
export function planSubtreeProof(start: bigint, end: bigint, size: bigint): ProofPlan {
  if (!isValidSubtree(start, end) || end > size || size > MAX_TREE_SIZE) {
    throw new CheckError("ERR_SUBTREE_RANGE", `[${start}, ${end}) is not a subtree of a tree of ${size} leaves`);
  }
  const steps: ProofStep[] = [];
  let [low, high, from, whole] = [0n, size, start, true];
  while (low !== from || high !== end) {
    const middle = low + splitPoint(high - low);
    if (end <= middle) {
      steps.push({ nodes: nodesOfRange(middle, high), side: "right", inside: false });
      high = middle;
      continue;
    }
    // A valid subtree that reaches over the split starts at `low`: its left part is a node of its own.
    const inside = from < middle;
    steps.push({ nodes: nodesOfRange(low, middle), side: "left", inside });
    if (inside) [from, whole] = [middle, false];
    low = middle;
  }
  if (!whole) steps.push({ nodes: nodesOfRange(low, high), side: "seed", inside: true });
  return { steps: steps.reverse() };
}
