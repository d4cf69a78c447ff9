/** Checks subtree proofs (draft-ietf-plants-merkle-tree-certs §4); inclusion and consistency derive from this file. */

import { equalBytes } from "../bytes.ts";
import { CheckError } from "../errors.ts";
import { EMPTY_ROOT, type LeafHash, type NodeHash, type RootHash } from "./hash.ts";
import { rootFromInclusion } from "./inclusion-proof.ts";
import { foldProof } from "./proof-fold.ts";
import { isValidSubtree, planSubtreeProof } from "./proof-plan.ts";

export { isValidSubtree } from "./proof-plan.ts";

/** What `checkSubtreeConsistency` is given. */
export interface SubtreeConsistency {
  readonly start: bigint;
  /** Exclusive. */
  readonly end: bigint;
  /** Claimed root over the leaves [start, end). */
  readonly hash: NodeHash;
  /** Leaves of the whole tree. */
  readonly size: bigint;
  readonly root: RootHash;
  readonly proof: readonly NodeHash[];
  /**
   * Accept the empty subtree [s, s) with the empty root and no proof, as the draft's algorithm does. It says nothing
   * about the tree, whose root is not even looked at, so it is refused unless asked for.
   */
  readonly allowEmpty?: boolean;
}

/**
 * Checks that the leaves [start, end) of the tree with root `root` have the root `hash`.
 *
 * @throws {CheckError} ERR_SUBTREE_RANGE, ERR_PROOF_LENGTH, ERR_SUBTREE_MISMATCH, ERR_ROOT_MISMATCH
 * @see draft-ietf-plants-merkle-tree-certs §4.4; cost: at most 2 * log2(size) hashes
 */
export function checkSubtreeConsistency(claim: SubtreeConsistency): void {
  const { start, end, size, proof } = claim;
  if (claim.allowEmpty === true && start === end) {
    checkEmptySubtree(claim);
    return;
  }
  const { hash, root } = foldProof(planSubtreeProof(start, end, size), claim.hash, proof);
  if (!equalBytes(hash, claim.hash)) {
    throw new CheckError("ERR_SUBTREE_MISMATCH", `the proof gives another hash of [${start}, ${end})`);
  }
  if (!equalBytes(root, claim.root)) {
    throw new CheckError("ERR_ROOT_MISMATCH", `the proof gives another root of the tree of ${size} leaves`);
  }
}

/** What `checkSubtreeInclusion` is given. */
export interface SubtreeInclusion {
  readonly leaf: LeafHash;
  /** 0-based in the whole tree. */
  readonly index: bigint;
  readonly start: bigint;
  /** Exclusive. */
  readonly end: bigint;
  /** Root over the leaves [start, end). */
  readonly root: RootHash;
  readonly proof: readonly NodeHash[];
}

/**
 * Checks that `leaf` is leaf `index` of the tree, given the root of a subtree around it.
 *
 * @throws {CheckError} ERR_SUBTREE_RANGE, ERR_INDEX_RANGE, ERR_PROOF_LENGTH, ERR_ROOT_MISMATCH
 * @see draft-ietf-plants-merkle-tree-certs §4.3
 */
export function checkSubtreeInclusion({ leaf, index, start, end, root, proof }: SubtreeInclusion): void {
  if (!isValidSubtree(start, end)) throw new CheckError("ERR_SUBTREE_RANGE", `[${start}, ${end}) is not a subtree`);
  const got = rootFromInclusion({ leaf, index: index - start, size: end - start, proof });
  if (!equalBytes(got, root)) {
    throw new CheckError("ERR_ROOT_MISMATCH", `the proof gives another root of [${start}, ${end})`);
  }
}

function checkEmptySubtree({ start, hash, size, proof }: SubtreeConsistency): void {
  if (start < 0n || start > size) throw new CheckError("ERR_SUBTREE_RANGE", `[${start}, ${start}) is outside the tree`);
  if (proof.length !== 0) throw new CheckError("ERR_PROOF_LENGTH", `want no proof hashes, got ${proof.length}`);
  if (!equalBytes(hash, EMPTY_ROOT)) throw new CheckError("ERR_SUBTREE_MISMATCH", "want the empty root");
}
