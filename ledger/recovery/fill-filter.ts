/** Gives the index the filter of all leaves that the log has at a start, while the log is already at work. */

import { HASH_BYTES, type LeafHash, parseLeafHash } from "../../kernel/merkle/hash.ts";
import { readRoot } from "../../kernel/merkle/prove.ts";
import { partialWidth, TILE_WIDTH } from "../../kernel/tile/coordinates.ts";
import type { EntryIndex } from "../sequence/entry-index.ts";
import { type LeavesReader, readInPlace } from "../sequence/log-leaves.ts";
import type { TileStore } from "../tree/tile-store.ts";
import type { Tree } from "../tree/tree.ts";

/** Tiles that are read sooner here than a thread could be started. */
const TILES_IN_PLACE = 64;

/** What is filled, and from where. */
export interface FilterFill {
  readonly tree: Tree;
  readonly tiles: Pick<TileStore, "flush">;
  readonly index: EntryIndex;
  /** Reads many tiles, which are on disk; default on this thread. */
  readonly readLeaves?: LeavesReader | undefined;
  readonly signal: AbortSignal;
}

/**
 * Call it once, after the index has caught up and before an entry is admitted. If the leaves cannot be read, or are not those of
 * the tree, every leaf goes on being looked up: that costs time, nothing else.
 */
export async function fillFilter({ tree, tiles, index, readLeaves, signal }: FilterFill): Promise<void> {
  const { size } = tree;
  const width = partialWidth(0, size);
  const [full, count] = [size - BigInt(width), Number(size / BigInt(TILE_WIDTH))];
  const readTile = (at: number, wide: number): Promise<Uint8Array | undefined> =>
    tree.readTile({ kind: "hash", level: 0, index: BigInt(at), width: wide });
  const edge = width === 0 ? new Uint8Array(0) : await readTile(count, width);
  const root = await readRoot(full, tree.reader(full));
  await tiles.flush();
  const inPlace = readInPlace((at) => readTile(at, TILE_WIDTH));
  const read = count <= TILES_IN_PLACE ? inPlace : (readLeaves ?? inPlace);
  const part = await read({ tiles: count, root }, signal);
  if (part !== undefined && edge !== undefined) index.takeFilter(part, leavesOf(edge));
}

function leavesOf(tile: Uint8Array): readonly LeafHash[] {
  return Array.from({ length: tile.length / HASH_BYTES }, (_, i) =>
    parseLeafHash(tile.slice(i * HASH_BYTES, (i + 1) * HASH_BYTES)),
  );
}
