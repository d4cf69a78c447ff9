/**
 * Brings the index up to the log: rows that it may have lost, or all of them, from bundles and the right edge, where writing one
 * again changes nothing; and leaves from the hash tiles.
 */

import { invariant, isCodedError, StoreError } from "../../kernel/errors.ts";
import { TILE_WIDTH } from "../../kernel/tile/coordinates.ts";
import type { LeafSource } from "../leaves/leaf-store.ts";
import type { EntryIndex } from "../sequence/entry-index.ts";
import type { IndexRow, IndexStore } from "../sequence/index-store.ts";
import type { Tree } from "../tree/tree.ts";

/** Derives the rows that an entry adds, in the order of the log; sees every entry from where the index starts. */
export interface EntryReplay {
  /** Takes over what the index already knows, instead of what it knew. @throws {FormatError} if a row cannot be read */
  readonly load: (store: IndexStore) => Promise<void>;
  readonly replay: (entry: Uint8Array, index: bigint) => readonly IndexRow[];
}

/** What is caught up, and from where. */
export interface CatchUp {
  readonly tree: Tree;
  readonly store: IndexStore;
  readonly index: EntryIndex;
  /** Index of the oldest entry in the write-ahead log: a file is retired only when the index has its entries durably. */
  readonly oldestInWal: bigint;
  readonly replay: EntryReplay;
  /** Entries below may be gone with their bundles; raw logs only. Default 0. */
  readonly minimumIndex?: bigint;
}

/**
 * Brings the rows up to the log.
 *
 * @returns the number of entries that were read again; the index has their rows, which are read from nowhere else
 */
export async function catchUpIndex({
  tree,
  store,
  index,
  oldestInWal,
  replay,
  minimumIndex = 0n,
}: CatchUp): Promise<bigint> {
  const isUsable = store.watermark <= tree.size && (await canLoad(replay, store));
  if (!isUsable) {
    await store.clear();
    await replay.load(store);
  }
  const from = isUsable ? durableSize(store, oldestInWal) : 0n;
  let hasRows = false;
  for (let bundle = from / BigInt(TILE_WIDTH); bundle * BigInt(TILE_WIDTH) < tree.size; bundle += 1n) {
    const isPruned = (bundle + 1n) * BigInt(TILE_WIDTH) <= minimumIndex;
    const rows = await (isPruned ? indexPruned(tree, bundle, index, replay) : indexBundle(tree, bundle, index, replay));
    hasRows ||= rows > 0;
  }
  if (hasRows) await index.flush();
  return tree.size - from;
}

/** What a leaf store is bound to. */
export function leafSourceOf(tree: Tree): LeafSource {
  return {
    size: Number(tree.size),
    rootOf: async ({ first, count }) => {
      const id = { level: Math.log2(count), index: BigInt(first / count) };
      const [root] = await tree.reader(tree.size).readNodes([id]);
      invariant(root !== undefined, "a range of leaves has a root");
      return root;
    },
    readTile: (index) => readLeafTile(tree, index, TILE_WIDTH),
  };
}

/** Places the leaves that the leaf store does not have, from the tiles. @throws {StoreError} ERR_TILE_MISSING */
export async function placeNewestLeaves(tree: Tree, index: EntryIndex): Promise<void> {
  const size = Number(tree.size);
  while (index.size < size) {
    const width = Math.min(TILE_WIDTH, size - index.size);
    index.placeTile(await readLeafTile(tree, index.size / TILE_WIDTH, width));
  }
}

async function readLeafTile(tree: Tree, index: number, width: number): Promise<Uint8Array> {
  const tile = await tree.readTile({ kind: "hash", level: 0, index: BigInt(index), width });
  if (tile === undefined) throw new StoreError("ERR_TILE_MISSING", `tile 0/${index} is missing`, { fatal: true });
  return tile;
}

/** Two bounds that both hold: what was synced, and of what was written all that is no longer in the write-ahead log. */
function durableSize({ watermark, durable }: IndexStore, oldestInWal: bigint): bigint {
  const retired = watermark < oldestInWal ? watermark : oldestInWal;
  return durable > retired ? durable : retired;
}

/** False if a row cannot be read: the index is damaged, and only the log says what was in it. */
async function canLoad(replay: EntryReplay, store: IndexStore): Promise<boolean> {
  try {
    await replay.load(store);
    return true;
  } catch (error) {
    if (isCodedError(error)) return false;
    throw error;
  }
}

/** A bundle that may be gone: then nothing but raw entries was in it, which add no rows. */
async function indexPruned(tree: Tree, bundle: bigint, index: EntryIndex, replay: EntryReplay): Promise<number> {
  if ((await tree.readTile({ kind: "entries", index: bundle, width: TILE_WIDTH })) !== undefined) {
    return indexBundle(tree, bundle, index, replay);
  }
  return record(index, [], (bundle + 1n) * BigInt(TILE_WIDTH));
}

/** @returns the number of rows */
async function indexBundle(tree: Tree, bundle: bigint, index: EntryIndex, replay: EntryReplay): Promise<number> {
  const entries = await tree.readBundle(bundle);
  const first = bundle * BigInt(TILE_WIDTH);
  const rows = entries.flatMap((entry, i) => replay.replay(entry, first + BigInt(i)));
  return record(index, rows, first + BigInt(entries.length));
}

function record(index: EntryIndex, rows: readonly IndexRow[], size: bigint): number {
  index.record({ rows, size });
  return rows.length;
}
