/** Whether two tree heads are of one history: decided by proofs that are computed here, from hash tiles. */

import { equalBytes } from "../../kernel/bytes.ts";
import { checkConsistency } from "../../kernel/merkle/consistency-proof.ts";
import { EMPTY_ROOT, type RootHash } from "../../kernel/merkle/hash.ts";
import { type HashReader, proveConsistency, readRoot } from "../../kernel/merkle/prove.ts";

/** A tree head. */
export interface Head {
  readonly size: bigint;
  readonly root: RootHash;
}

/**
 * Compares two heads that their log signed.
 *
 * `forked` is proven, not suspected: a consistency proof leads from the larger root to another root of the smaller size.
 * Tiles that do not lead to the larger root prove nothing about the heads; they are refused.
 *
 * @param reader  hashes of the tree of `larger`
 * @throws {FormatError | CheckError} ERR_TILE_LENGTH, ERR_OLD_ROOT_MISMATCH, ERR_ROOT_MISMATCH for false tiles
 */
export async function compareHeads(smaller: Head, larger: Head, reader: HashReader): Promise<"consistent" | "forked"> {
  const same = (root: RootHash): "consistent" | "forked" => (equalBytes(smaller.root, root) ? "consistent" : "forked");
  if (smaller.size === larger.size) return same(larger.root);
  if (smaller.size === 0n) return same(EMPTY_ROOT);
  const proof = await proveConsistency(smaller.size, larger.size, reader);
  const prefix = await readRoot(smaller.size, reader);
  checkConsistency({ oldSize: smaller.size, oldRoot: prefix, size: larger.size, root: larger.root, proof });
  return same(prefix);
}
