/** Checks inclusion proofs, RFC 6962 §2.1.1: the subtree proof of one leaf. */

import { equalBytes } from "../bytes.ts";
import { CheckError } from "../errors.ts";
import { asNodeHash, type LeafHash, type NodeHash, type RootHash } from "./hash.ts";
import { foldProof } from "./proof-fold.ts";
import { planSubtreeProof } from "./proof-plan.ts";

/** A leaf, its place, and the sibling hashes from it to the root. */
export interface InclusionPath {
  readonly leaf: LeafHash;
  /** 0-based. */
  readonly index: bigint;
  /** Leaves of the tree. */
  readonly size: bigint;
  /** Leaf to root; exactly the RFC's count. */
  readonly proof: readonly NodeHash[];
}

/**
 * Checks that the tree of `size` leaves with root `root` holds `leaf` at `index`.
 *
 * @throws {CheckError} ERR_INDEX_RANGE, ERR_PROOF_LENGTH, ERR_ROOT_MISMATCH
 * @see RFC 6962 §2.1.1; cost: at most 1 + log2(size) hashes
 */
export function checkInclusion(claim: InclusionPath & { readonly root: RootHash }): void {
  if (equalBytes(rootFromInclusion(claim), claim.root)) return;
  throw new CheckError("ERR_ROOT_MISMATCH", `the proof gives another root of the tree of ${claim.size} leaves`);
}

/**
 * The root that an inclusion proof implies. It proves nothing until it is compared with a root that is trusted.
 *
 * @throws {CheckError} ERR_INDEX_RANGE, ERR_PROOF_LENGTH
 */
export function rootFromInclusion({ leaf, index, size, proof }: InclusionPath): RootHash {
  if (index < 0n || index >= size) {
    throw new CheckError("ERR_INDEX_RANGE", `leaf ${index} is not in a tree of ${size} leaves`);
  }
  return foldProof(planSubtreeProof(index, index + 1n, size), asNodeHash(leaf), proof).root;
}
