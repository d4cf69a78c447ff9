/**
 * Brings the index up to the log. What it may have lost, or all of it, is read again from bundles and the right edge;
 * writing a row again changes nothing. What is read again is known at once, and goes to the index in the background, as new
 * entries do.
 */

import { isCodedError, StoreError } from "../../kernel/errors.ts";
import { HASH_BYTES, hashLeaf, parseLeafHash } from "../../kernel/merkle/hash.ts";
import { TILE_WIDTH } from "../../kernel/tile/coordinates.ts";
import type { EntryIndex, IndexedBatch } from "../sequence/entry-index.ts";
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
 * @returns the number of entries that were read again. `EntryIndex.flush` waits until the index has their leaves; it has
 *   their rows, which are read from nowhere else
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
    if (!index.hasRoom) await index.flush();
  }
  if (hasRows) await index.flush();
  return tree.size - from;
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

/** A bundle that may be gone: its leaf hashes are in the level-0 tile of the same number. */
async function indexPruned(tree: Tree, bundle: bigint, index: EntryIndex, replay: EntryReplay): Promise<number> {
  if ((await tree.readTile({ kind: "entries", index: bundle, width: TILE_WIDTH })) !== undefined) {
    return indexBundle(tree, bundle, index, replay);
  }
  const tile = await tree.readTile({ kind: "hash", level: 0, index: bundle, width: TILE_WIDTH });
  if (tile === undefined) throw new StoreError("ERR_TILE_MISSING", `tile 0/${bundle} is missing`, { fatal: true });
  const first = bundle * BigInt(TILE_WIDTH);
  const leaves = Array.from({ length: TILE_WIDTH }, (_, i) => ({
    leaf: parseLeafHash(tile.slice(i * HASH_BYTES, (i + 1) * HASH_BYTES)),
    index: first + BigInt(i),
  }));
  return record(index, leaves, [], first + BigInt(TILE_WIDTH));
}

/** @returns the number of rows beside the leaves */
async function indexBundle(tree: Tree, bundle: bigint, index: EntryIndex, replay: EntryReplay): Promise<number> {
  const entries = await tree.readBundle(bundle);
  const first = bundle * BigInt(TILE_WIDTH);
  const leaves = entries.map((entry, i) => ({ leaf: hashLeaf(entry), index: first + BigInt(i) }));
  const rows = entries.flatMap((entry, i) => replay.replay(entry, first + BigInt(i)));
  return record(index, leaves, rows, first + BigInt(entries.length));
}

function record(index: EntryIndex, leaves: IndexedBatch["leaves"], rows: readonly IndexRow[], size: bigint): number {
  const firsts = leaves.filter((each) => index.placeRecovered(each.leaf, each.index));
  index.record({ leaves: firsts, rows, size, isRecovered: true });
  return rows.length;
}
