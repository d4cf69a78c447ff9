/** Checks consistency proofs, RFC 6962 §2.1.2: the subtree proof of the first leaves. */

import { equalBytes } from "../bytes.ts";
import { CheckError } from "../errors.ts";
import { asNodeHash, type NodeHash, type RootHash } from "./hash.ts";
import { foldProof } from "./proof-fold.ts";
import { planSubtreeProof } from "./proof-plan.ts";

/** A known tree head, the size of a newer tree, and the hashes that lead from the one to the other. */
export interface ConsistencyPath {
  readonly oldSize: bigint;
  readonly oldRoot: RootHash;
  readonly size: bigint;
  readonly proof: readonly NodeHash[];
}

/** Two tree heads and the hashes that connect them. */
export interface Consistency extends ConsistencyPath {
  readonly root: RootHash;
}

/**
 * Checks that the tree (oldSize, oldRoot) is a prefix of the tree (size, root).
 *
 * Old size 0 is refused: every tree extends the empty one, so such a proof proves nothing, and the protocols that meet it
 * (tlog-witness) decide it before they read a proof. Equal sizes need an empty proof and equal roots.
 *
 * @throws {CheckError} ERR_SIZE_RANGE unless 0 < oldSize <= size; ERR_PROOF_LENGTH; ERR_OLD_ROOT_MISMATCH; ERR_ROOT_MISMATCH
 * @see RFC 6962 §2.1.2; cost: at most 2 * log2(size) hashes
 */
export function checkConsistency({ root, ...path }: Consistency): void {
  if (equalBytes(rootFromConsistency(path), root)) return;
  throw new CheckError("ERR_ROOT_MISMATCH", `the proof gives another root of the tree of ${path.size} leaves`);
}

/**
 * The root of the newer tree that a consistency proof implies. It proves nothing until it is compared with a root that is
 * trusted, or a signature over it is checked.
 *
 * @throws {CheckError} ERR_SIZE_RANGE, ERR_PROOF_LENGTH, ERR_OLD_ROOT_MISMATCH, as `checkConsistency`
 */
export function rootFromConsistency({ oldSize, oldRoot, size, proof }: ConsistencyPath): RootHash {
  if (oldSize <= 0n || oldSize > size) {
    throw new CheckError("ERR_SIZE_RANGE", `want 0 < old size <= size, got ${oldSize} and ${size}`);
  }
  const folded = foldProof(planSubtreeProof(0n, oldSize, size), asNodeHash(oldRoot), proof);
  if (equalBytes(folded.hash, oldRoot)) return folded.root;
  throw new CheckError("ERR_OLD_ROOT_MISMATCH", `the proof gives another root of the first ${oldSize} leaves`);
}
