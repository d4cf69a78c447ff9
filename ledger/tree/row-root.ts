/** The root of a tree from the growing tiles of its levels: every node of its right edge lies in one of them. */

import { asRootHash, EMPTY_ROOT, HASH_BYTES, type NodeHash, type RootHash } from "../../kernel/merkle/hash.ts";
import { foldRange, type NodeId, nodesOfRange } from "../../kernel/merkle/node-id.ts";
import { nodeFromTile, TILE_WIDTH, tileOfNode } from "../../kernel/tile/coordinates.ts";

/** Hashes of one growing tile, from its first place. */
export interface RowHashes {
  readonly index: bigint;
  readonly hashes: readonly (NodeHash | undefined)[];
}

/**
 * Root of the tree of `size` leaves.
 *
 * @param rows  by tile level; each the tile that the size cuts at that level, at least as far as the size goes
 * @returns undefined if a hash that it needs is not known
 */
export function rootOfRows(size: bigint, rows: readonly RowHashes[]): RootHash | undefined {
  if (size === 0n) return EMPTY_ROOT;
  const nodes: NodeHash[] = [];
  for (const id of nodesOfRange(0n, size)) {
    const node = nodeOf(id, rows);
    if (node === undefined) return undefined;
    nodes.push(node);
  }
  return asRootHash(foldRange(nodes));
}

function nodeOf(id: NodeId, rows: readonly RowHashes[]): NodeHash | undefined {
  const { level, index } = tileOfNode(id);
  const row = rows[level];
  if (row?.index !== index) return undefined;
  const count = 1 << (id.level % 8);
  const first = Number((id.index * BigInt(count)) % BigInt(TILE_WIDTH));
  const bytes = new Uint8Array((first + count) * HASH_BYTES);
  for (let i = first; i < first + count; i += 1) {
    const hash = row.hashes[i];
    if (hash === undefined) return undefined;
    bytes.set(hash, i * HASH_BYTES);
  }
  return nodeFromTile(bytes, level, index, id);
}
