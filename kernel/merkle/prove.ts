/** Makes proofs from a tree that is stored as complete subtrees. */

import { CheckError, invariant } from "../errors.ts";
import { asRootHash, EMPTY_ROOT, type NodeHash, type RootHash } from "./hash.ts";
import { foldRange, type NodeId, nodesOfRange } from "./node-id.ts";
import { planSubtreeProof } from "./proof-plan.ts";

/** Reads the tree. The caller declares how: from memory, from tiles on disk, from tiles over HTTP. */
export interface HashReader {
  /** Hashes of complete subtrees, in the order of `ids`; rejects if any cannot be read. All lie in the tree's size. */
  readonly readNodes: (ids: readonly NodeId[]) => Promise<readonly NodeHash[]>;
}

/**
 * Proves that leaf `index` is in the tree of `size` leaves: sibling hashes, leaf to root.
 *
 * @throws {CheckError} ERR_INDEX_RANGE unless 0 <= index < size
 * @see RFC 6962 §2.1.1; one `readNodes`
 */
export async function proveInclusion(index: bigint, size: bigint, reader: HashReader): Promise<readonly NodeHash[]> {
  if (index < 0n || index >= size) {
    throw new CheckError("ERR_INDEX_RANGE", `leaf ${index} is not in a tree of ${size} leaves`);
  }
  return proveSubtree(index, index + 1n, size, reader);
}

/**
 * Proves that the tree of `oldSize` leaves is a prefix of the tree of `size` leaves; no hashes if they are equal.
 *
 * @throws {CheckError} ERR_SIZE_RANGE unless 0 < oldSize <= size
 * @see RFC 6962 §2.1.2; one `readNodes`
 */
export async function proveConsistency(
  oldSize: bigint,
  size: bigint,
  reader: HashReader,
): Promise<readonly NodeHash[]> {
  if (oldSize <= 0n || oldSize > size) {
    throw new CheckError("ERR_SIZE_RANGE", `want 0 < old size <= size, got ${oldSize} and ${size}`);
  }
  return proveSubtree(0n, oldSize, size, reader);
}

/**
 * Proves that the subtree [start, end) belongs to the tree of `size` leaves.
 *
 * @throws {CheckError} ERR_SUBTREE_RANGE
 * @see draft-ietf-plants-merkle-tree-certs §4.4; one `readNodes`
 */
export async function proveSubtree(
  start: bigint,
  end: bigint,
  size: bigint,
  reader: HashReader,
): Promise<readonly NodeHash[]> {
  const { steps } = planSubtreeProof(start, end, size);
  const ids = steps.flatMap((step) => step.nodes);
  const hashes = await readAll(ids, reader);
  let offset = 0;
  return steps.map(({ nodes }) => {
    offset += nodes.length;
    return foldRange(hashes.slice(offset - nodes.length, offset));
  });
}

/** Root of the tree of `size` leaves; the empty root for size 0. One `readNodes`. */
export async function readRoot(size: bigint, reader: HashReader): Promise<RootHash> {
  if (size === 0n) return EMPTY_ROOT;
  return asRootHash(foldRange(await readAll(nodesOfRange(0n, size), reader)));
}

async function readAll(ids: readonly NodeId[], reader: HashReader): Promise<readonly NodeHash[]> {
  if (ids.length === 0) return [];
  const hashes = await reader.readNodes(ids);
  invariant(hashes.length === ids.length, "HashReader: want one hash for each node");
  return hashes;
}
