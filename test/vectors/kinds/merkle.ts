/** merkle/*: proofs of others; each case is accepted or refused. */

import { parseBase64 } from "../../../kernel/base64.ts";
import { checkConsistency } from "../../../kernel/merkle/consistency-proof.ts";
import { type NodeHash, parseLeafHash, parseNodeHash, parseRootHash } from "../../../kernel/merkle/hash.ts";
import { checkInclusion } from "../../../kernel/merkle/inclusion-proof.ts";
import { checkSubtreeConsistency, checkSubtreeInclusion } from "../../../kernel/merkle/subtree-proof.ts";
import { eachCase, integerOf, type KindHandler, textOf, textsOf, type VectorObject } from "../case-file.ts";

/** Hashes of a proof; one that is not 32 bytes is refused by its parser. */
export function proofOf(one: VectorObject, key: string): readonly NodeHash[] {
  return textsOf(one, key).map((hash) => parseNodeHash(parseBase64(hash)));
}

const inclusion = eachCase((one) => {
  checkInclusion({
    leaf: parseLeafHash(parseBase64(textOf(one, "leafHash"))),
    index: integerOf(one, "leafIdx"),
    size: integerOf(one, "treeSize"),
    root: parseRootHash(parseBase64(textOf(one, "root"))),
    proof: proofOf(one, "proof"),
  });
  return "accept";
});

const consistency = eachCase((one) => {
  checkConsistency({
    oldSize: integerOf(one, "size1"),
    oldRoot: parseRootHash(parseBase64(textOf(one, "root1"))),
    size: integerOf(one, "size2"),
    root: parseRootHash(parseBase64(textOf(one, "root2"))),
    proof: proofOf(one, "proof"),
  });
  return "accept";
});

const subtreeInclusion = eachCase((one) => {
  checkSubtreeInclusion({
    leaf: parseLeafHash(parseBase64(textOf(one, "leafHash"))),
    index: integerOf(one, "leafIdx"),
    start: integerOf(one, "start"),
    end: integerOf(one, "end"),
    root: parseRootHash(parseBase64(textOf(one, "root"))),
    proof: proofOf(one, "proof"),
  });
  return "accept";
});

const subtreeConsistency = eachCase((one) => {
  checkSubtreeConsistency({
    start: integerOf(one, "start"),
    end: integerOf(one, "end"),
    hash: parseNodeHash(parseBase64(textOf(one, "root1"))),
    size: integerOf(one, "size"),
    root: parseRootHash(parseBase64(textOf(one, "root2"))),
    proof: proofOf(one, "proof"),
    // The draft's algorithm takes the empty subtree; our own callers leave this off.
    allowEmpty: true,
  });
  return "accept";
});

/** By kind. */
export const merkleKinds: Readonly<Record<string, KindHandler>> = {
  "merkle/inclusion": inclusion,
  "merkle/consistency": consistency,
  "merkle/subtreeinclusion": subtreeInclusion,
  "merkle/subtreeconsistency": subtreeConsistency,
};
