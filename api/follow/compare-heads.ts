/** Whether two tree heads are of one history: decided by proofs that are computed here, from hash tiles. */

import { equalBytes } from "../../kernel/bytes.ts";
import type { ForkPrefix } from "../../kernel/checkpoint/fork-evidence.ts";
import { checkConsistency } from "../../kernel/merkle/consistency-proof.ts";
import { EMPTY_ROOT, type RootHash } from "../../kernel/merkle/hash.ts";
import { type HashReader, proveConsistency, readRoot } from "../../kernel/merkle/prove.ts";

/** A tree head. */
export interface Head {
  readonly size: bigint;
  readonly root: RootHash;
}

/** What a comparison found; a fork between two sizes with what proves it. */
export type Comparison =
  | { readonly verdict: "consistent" }
  | { readonly verdict: "forked"; readonly prefix?: ForkPrefix };

/**
 * Compares two heads that their log signed.
 *
 * `forked` is proven, not suspected: a consistency proof leads from the larger root to another root of the smaller size.
 * Tiles that do not lead to the larger root prove nothing about the heads; they are refused.
 *
 * @param reader  hashes of the tree of `larger`
 * @throws {FormatError | CheckError} ERR_TILE_LENGTH, ERR_OLD_ROOT_MISMATCH, ERR_ROOT_MISMATCH for false tiles
 */
export async function compareHeads(smaller: Head, larger: Head, reader: HashReader): Promise<Comparison> {
  if (smaller.size === larger.size) return compareRoots(smaller.root, larger.root);
  if (smaller.size === 0n) return compareRoots(smaller.root, EMPTY_ROOT);
  const proof = await proveConsistency(smaller.size, larger.size, reader);
  const root = await readRoot(smaller.size, reader);
  checkConsistency({ oldSize: smaller.size, oldRoot: root, size: larger.size, root: larger.root, proof });
  return compareRoots(smaller.root, root, { root, proof });
}

function compareRoots(a: RootHash, b: RootHash, prefix?: ForkPrefix): Comparison {
  if (equalBytes(a, b)) return { verdict: "consistent" };
  return { verdict: "forked", ...(prefix === undefined ? {} : { prefix }) };
}
