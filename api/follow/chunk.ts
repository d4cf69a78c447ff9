/**
 * Reads up to 256 entries of a log and proves each of them to be in the tree of a checkpoint: the level-0 hash tile is a
 * subtree of the root, and each entry hashes to its leaf in that tile.
 */

import { equalBytes } from "../../kernel/bytes.ts";
import { CompactRange } from "../../kernel/merkle/compact-range.ts";
import { asNodeHash, hashLeaf, type LeafHash, parseLeafHash } from "../../kernel/merkle/hash.ts";
import { type HashReader, proveSubtree } from "../../kernel/merkle/prove.ts";
import { checkSubtreeConsistency } from "../../kernel/merkle/subtree-proof.ts";
import { tileWidth } from "../../kernel/tile/coordinates.ts";
import { parseEntryBundle } from "../../kernel/tile/entry-bundle.ts";
import { TILE_WIDTH } from "../../kernel/tile/path.ts";
import { makeTileHashReader, type ReadTile } from "../../kernel/tile/tile-reader.ts";
import type { Head } from "./compare-heads.ts";

/** One entry of a chunk. `isLogged` is false if the bytes that were served are not those of the leaf. */
export interface ChunkEntry {
  readonly index: number;
  readonly leaf: LeafHash;
  readonly bytes: Uint8Array;
  readonly isLogged: boolean;
}

/** What a chunk is read from. */
export interface ChunkSource {
  readonly head: Head;
  readonly readTile: ReadTile;
}

/**
 * Reads the entries from `first` to the end of their tile, or of the tree.
 *
 * @throws {FormatError} ERR_TILE_LENGTH, ERR_BUNDLE_LENGTH
 * @throws {CheckError} ERR_SUBTREE_MISMATCH, ERR_ROOT_MISMATCH if the hash tile is not of the tree
 * @throws {StoreError} ERR_LEDGER_UNREACHABLE
 */
export async function readChunk(first: number, { head, readTile }: ChunkSource): Promise<readonly ChunkEntry[]> {
  const index = BigInt(first) / BigInt(TILE_WIDTH);
  const width = tileWidth({ level: 0, index }, head.size);
  const start = Number(index) * TILE_WIDTH;
  const reader = makeTileHashReader(head.size, readTile);
  const leaves = await readLeaves(start, width, reader);
  await checkLeaves(start, leaves, head, reader);
  const entries = parseEntryBundle(await readTile({ kind: "entries", index, width }), width);
  return entries.map((bytes, i) => entryAt(start + i, bytes, leaves[i])).slice(first - start);
}

async function readLeaves(start: number, width: number, reader: HashReader): Promise<readonly LeafHash[]> {
  const ids = Array.from({ length: width }, (_, i) => ({ level: 0, index: BigInt(start + i) }));
  return (await reader.readNodes(ids)).map(parseLeafHash);
}

async function checkLeaves(
  start: number,
  leaves: readonly LeafHash[],
  { size, root }: Head,
  reader: HashReader,
): Promise<void> {
  const range = CompactRange.empty();
  for (const leaf of leaves) range.append(leaf);
  const [from, end] = [BigInt(start), BigInt(start + leaves.length)];
  const proof = await proveSubtree(from, end, size, reader);
  checkSubtreeConsistency({ start: from, end, hash: asNodeHash(range.root()), size, root, proof });
}

function entryAt(index: number, bytes: Uint8Array, leaf: LeafHash | undefined): ChunkEntry {
  const own = hashLeaf(bytes);
  return { index, leaf: leaf ?? own, bytes, isLogged: leaf !== undefined && equalBytes(own, leaf) };
}
