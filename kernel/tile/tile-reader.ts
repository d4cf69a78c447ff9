/** Reads Merkle nodes through tiles: what a client of a log does, and a ledger below its right edge. */

import { FormatError, invariant } from "../errors.ts";
import { HASH_BYTES, type NodeHash } from "../merkle/hash.ts";
import type { NodeId } from "../merkle/node-id.ts";
import type { HashReader } from "../merkle/prove.ts";
import { nodeFromTile, TILE_WIDTH, type TileIndex, tileOfNode, tileWidth } from "./coordinates.ts";
import { formatTilePath, type TileRef } from "./path.ts";

/** Gets the bytes of one hash tile; rejects if it cannot. It may answer a partial tile with the full one. */
export type ReadTile = (ref: TileRef) => Promise<Uint8Array>;

/**
 * A reader of the tree of `size` leaves. It asks for each tile once a call, all at once, at the width that this size
 * gives and no other.
 *
 * Tiles are not authenticated here: what was read counts once a proof or a root made from it was checked against a
 * checkpoint.
 *
 * @throws {FormatError} ERR_TILE_LENGTH (from `readNodes`) if a tile does not have the bytes of its width
 */
export function makeTileHashReader(size: bigint, readTile: ReadTile): HashReader {
  const readNodes = async (ids: readonly NodeId[]): Promise<readonly NodeHash[]> => {
    const refs = ids.map((id) => tileRef(tileOfNode(id), size));
    const unique = new Map(refs.map((ref) => [formatTilePath(ref), ref]));
    const tiles = new Map<string, Uint8Array>();
    await Promise.all(
      Array.from(unique, async ([path, ref]) => {
        tiles.set(path, cutTile(await readTile(ref), ref.width));
      }),
    );
    return ids.map((id, i) => nodeOf(id, refs[i], tiles));
  };
  return { readNodes };
}

function tileRef(tile: TileIndex, size: bigint): TileRef & { readonly kind: "hash" } {
  const width = tileWidth(tile, size);
  invariant(width > 0, "tile reader: a node outside the tree was asked for");
  return { kind: "hash", ...tile, width };
}

/** The first `width` hashes. A partial tile is a prefix of the full one, which a server may have in its place. */
function cutTile(tile: Uint8Array, width: number): Uint8Array {
  const want = width * HASH_BYTES;
  if (tile.length !== want && tile.length !== TILE_WIDTH * HASH_BYTES) {
    throw new FormatError("ERR_TILE_LENGTH", `want a tile of ${want} bytes, got ${tile.length}`);
  }
  return tile.subarray(0, want);
}

function nodeOf(id: NodeId, ref: TileRef | undefined, tiles: ReadonlyMap<string, Uint8Array>): NodeHash {
  const tile = ref === undefined ? undefined : tiles.get(formatTilePath(ref));
  invariant(ref?.kind === "hash" && tile !== undefined, "tile reader: a tile was not read");
  return nodeFromTile(tile, ref.level, ref.index, id);
}
