/**
 * Where hashes live in tiles (C2SP tlog-tiles).
 *
 * Hash i of tile n at level l is the root of leaves [(n*256 + i) * 256^l, (n*256 + i + 1) * 256^l): the node of binary
 * level 8*l and index n*256 + i. Only full tiles are hashed upward, so the nodes of the seven levels above come from
 * hashing inside one tile.
 */

import { FormatError } from "../errors.ts";
import { foldHashes, HASH_BYTES, type NodeHash } from "../merkle/hash.ts";
import type { NodeId } from "../merkle/node-id.ts";
import { TILE_WIDTH, type TileRef } from "./path.ts";

export { TILE_WIDTH } from "./path.ts";

/** Binary levels of one tile. */
const TILE_HEIGHT = 8;

/** Place of a hash tile, whatever its width. */
export interface TileIndex {
  readonly level: number;
  readonly index: bigint;
}

/** Width of the partial tile at `level` of a tree of `size` leaves: 0 (there is none) to 255. */
export function partialWidth(level: number, size: bigint): number {
  return Number((size >> BigInt(TILE_HEIGHT * level)) % BigInt(TILE_WIDTH));
}

/** Width of a tile in the tree of `size` leaves: 256 full, 1 to 255 partial, 0 if the tree has no hash of it. */
export function tileWidth({ level, index }: TileIndex, size: bigint): number {
  const before = index * BigInt(TILE_WIDTH);
  const hashes = size >> BigInt(TILE_HEIGHT * level);
  if (hashes >= before + BigInt(TILE_WIDTH)) return TILE_WIDTH;
  return hashes > before ? Number(hashes - before) : 0;
}

/** The tile that holds node `id`, or the 2^(level mod 8) hashes below it. */
export function tileOfNode(id: NodeId): TileIndex {
  const inTile = id.level % TILE_HEIGHT;
  return { level: (id.level - inTile) / TILE_HEIGHT, index: id.index >> BigInt(TILE_HEIGHT - inTile) };
}

/**
 * Every resource that a log of `size` leaves serves: entry bundles, then the hash tiles from level 0 upward, each in order,
 * its partial one last. Lazy: there are size / 128 of them.
 */
export function* tilesForSize(size: bigint): Generator<TileRef, void, undefined> {
  yield* rowOfTiles(size, (index, width) => ({ kind: "entries", index, width }));
  for (let level = 0; size >> BigInt(TILE_HEIGHT * level) > 0n; level += 1) {
    yield* rowOfTiles(size >> BigInt(TILE_HEIGHT * level), (index, width) => ({ kind: "hash", level, index, width }));
  }
}

/**
 * Hash of node `id` out of its tile; hashes inside the tile when the node lies between two tile levels.
 *
 * @param tile  bytes of the tile at (level, index), full or partial
 * @throws {FormatError} ERR_TILE_LENGTH if the tile is not whole hashes or too narrow to hold the node
 */
export function nodeFromTile(tile: Uint8Array, level: number, index: bigint, id: NodeId): NodeHash {
  const place = tileOfNode(id);
  const count = 1 << (id.level % TILE_HEIGHT);
  const first = Number((id.index * BigInt(count)) % BigInt(TILE_WIDTH));
  const fits = tile.length % HASH_BYTES === 0 && tile.length >= (first + count) * HASH_BYTES;
  if (place.level !== level || place.index !== index || !fits) {
    throw new FormatError("ERR_TILE_LENGTH", `want a tile with hashes ${first} to ${first + count - 1} of this node`);
  }
  return foldTile(tile, first, count);
}

/**
 * The hash that a full tile has in the tile above it.
 *
 * @param tile  256 hashes
 * @throws {FormatError} ERR_TILE_LENGTH
 */
export function rootOfTile(tile: Uint8Array): NodeHash {
  if (tile.length === TILE_WIDTH * HASH_BYTES) return foldTile(tile, 0, TILE_WIDTH);
  throw new FormatError("ERR_TILE_LENGTH", `want a tile of ${TILE_WIDTH * HASH_BYTES} bytes, got ${tile.length}`);
}

/** Root over `count` (a power of two) hashes of a tile from `first` on. */
function foldTile(tile: Uint8Array, first: number, count: number): NodeHash {
  return foldHashes(tile.subarray(first * HASH_BYTES), count);
}

function* rowOfTiles(
  hashes: bigint,
  ref: (index: bigint, width: number) => TileRef,
): Generator<TileRef, void, undefined> {
  const full = hashes / BigInt(TILE_WIDTH);
  for (let index = 0n; index < full; index += 1n) yield ref(index, TILE_WIDTH);
  const partial = Number(hashes % BigInt(TILE_WIDTH));
  // SPEC tlog-tiles: tiles of width zero MUST NOT be served.
  if (partial > 0) yield ref(full, partial);
}
