/** Folds the hashes of a proof along its plan. */

import { CheckError } from "../errors.ts";
import { asRootHash, hashNode, type NodeHash, type RootHash } from "./hash.ts";
import type { ProofPlan } from "./proof-plan.ts";

/**
 * Folds proof hashes: the subtree's hash that they imply and the root that they imply.
 *
 * @param hash  the subtree's own hash: the first value of both folds when the plan has no seed
 * @throws {CheckError} ERR_PROOF_LENGTH unless there is one hash for each step
 */
export function foldProof(
  { steps }: ProofPlan,
  hash: NodeHash,
  proof: readonly NodeHash[],
): { readonly hash: NodeHash; readonly root: RootHash } {
  if (proof.length !== steps.length) {
    throw new CheckError("ERR_PROOF_LENGTH", `want a proof of ${steps.length} hashes, got ${proof.length}`);
  }
  let [subtree, root] = [hash, hash];
  steps.forEach(({ side, inside }, i) => {
    const sibling = proof[i] ?? hash;
    if (side === "seed") [subtree, root] = [sibling, sibling];
    else if (side === "right") root = hashNode(root, sibling);
    else [subtree, root] = [inside ? hashNode(sibling, subtree) : subtree, hashNode(sibling, root)];
  });
  return { hash: subtree, root: asRootHash(root) };
}
