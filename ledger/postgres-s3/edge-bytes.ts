/**
 * The right edge of a tree as bytes: the hashes of the partial tile of each level, from level 0 up. The widths follow from the
 * size. It lets any node serve partial tiles, and it is checked against the root that stands beside it.
 */

import { concatAll, equalBytes } from "../../kernel/bytes.ts";
import { StoreError } from "../../kernel/errors.ts";
import { HASH_BYTES, parseNodeHash, type RootHash } from "../../kernel/merkle/hash.ts";
import { partialWidth, TILE_WIDTH } from "../../kernel/tile/coordinates.ts";
import { TILE_HEIGHT } from "../tree/right-edge.ts";
import { rootOfRows } from "../tree/row-root.ts";
import type { Tree } from "../tree/tree.ts";

/** The partial tile of a level; empty bytes where the size cuts none. */
export interface PartialTile {
  readonly index: bigint;
  readonly bytes: Uint8Array;
}

/** The edge of `tree`, which must be of size `size` exactly. */
export async function formatEdge(tree: Tree, size: bigint): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for (const { level, index, width } of placesOf(size)) {
    if (width === 0) continue;
    const bytes = await tree.readTile({ kind: "hash", level, index, width });
    if (bytes === undefined) throw new StoreError("ERR_TILE_MISSING", "the tree has no tile of its own right edge");
    parts.push(bytes);
  }
  return concatAll(parts);
}

/**
 * The partial tiles of the tree of `size` entries, by level.
 *
 * @throws {StoreError} ERR_HEAD_DAMAGE, fatal, unless they give `root`
 */
export function parseEdge(edge: Uint8Array, size: bigint, root: RootHash): readonly PartialTile[] {
  const tiles: PartialTile[] = [];
  let offset = 0;
  for (const { index, width } of placesOf(size)) {
    const end = offset + width * HASH_BYTES;
    tiles.push({ index, bytes: edge.slice(offset, end) });
    offset = end;
  }
  const rows = tiles.map(({ index, bytes }) => ({ index, hashes: hashesOf(bytes) }));
  const derived = offset === edge.length ? rootOfRows(size, rows) : undefined;
  if (derived !== undefined && equalBytes(derived, root)) return tiles;
  throw new StoreError("ERR_HEAD_DAMAGE", "the recorded right edge does not give the recorded root", { fatal: true });
}

function placesOf(size: bigint): readonly { readonly level: number; readonly index: bigint; readonly width: number }[] {
  const places: { level: number; index: bigint; width: number }[] = [];
  for (let level = 0; size >> BigInt(TILE_HEIGHT * level) > 0n; level += 1) {
    const index = (size >> BigInt(TILE_HEIGHT * level)) / BigInt(TILE_WIDTH);
    places.push({ level, index, width: partialWidth(level, size) });
  }
  return places;
}

function hashesOf(bytes: Uint8Array): ReturnType<typeof parseNodeHash>[] {
  const count = bytes.length / HASH_BYTES;
  return Array.from({ length: Math.floor(count) }, (_, i) =>
    parseNodeHash(bytes.slice(i * HASH_BYTES, (i + 1) * HASH_BYTES)),
  );
}
