/**
 * Brings the index up to the log. What it lost, or all of it, is read again from bundles and the right edge; writing a
 * row again changes nothing.
 */

import { isCodedError, StoreError } from "../../kernel/errors.ts";
import { HASH_BYTES, hashLeaf, parseLeafHash } from "../../kernel/merkle/hash.ts";
import { TILE_WIDTH } from "../../kernel/tile/coordinates.ts";
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
  readonly oldestInWal: bigint;
  readonly replay: EntryReplay;
  /** Entries below may be gone with their bundles; raw logs only. Default 0. */
  readonly minimumIndex?: bigint;
}

/** @returns the number of entries that were read again */
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
  const covered = isUsable ? store.watermark : 0n;
  const from = covered < oldestInWal ? covered : oldestInWal;
  for (let bundle = from / BigInt(TILE_WIDTH); bundle * BigInt(TILE_WIDTH) < tree.size; bundle += 1n) {
    const isPruned = (bundle + 1n) * BigInt(TILE_WIDTH) <= minimumIndex;
    await (isPruned ? indexPruned(tree, bundle, index, replay) : indexBundle(tree, bundle, index, replay));
    if (!index.hasRoom) await index.flush();
  }
  await index.flush();
  return tree.size - from;
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
async function indexPruned(tree: Tree, bundle: bigint, index: EntryIndex, replay: EntryReplay): Promise<void> {
  if ((await tree.readTile({ kind: "entries", index: bundle, width: TILE_WIDTH })) !== undefined) {
    await indexBundle(tree, bundle, index, replay);
    return;
  }
  const tile = await tree.readTile({ kind: "hash", level: 0, index: bundle, width: TILE_WIDTH });
  if (tile === undefined) throw new StoreError("ERR_TILE_MISSING", `tile 0/${bundle} is missing`, { fatal: true });
  const first = bundle * BigInt(TILE_WIDTH);
  const leaves = Array.from({ length: TILE_WIDTH }, (_, i) => ({
    leaf: parseLeafHash(tile.slice(i * HASH_BYTES, (i + 1) * HASH_BYTES)),
    index: first + BigInt(i),
  }));
  for (const { leaf, index: at } of leaves) index.place(leaf, at);
  index.record({ leaves, rows: [], size: first + BigInt(TILE_WIDTH) });
}

async function indexBundle(tree: Tree, bundle: bigint, index: EntryIndex, replay: EntryReplay): Promise<void> {
  const entries = await tree.readBundle(bundle);
  const first = bundle * BigInt(TILE_WIDTH);
  const leaves = entries.map((entry, i) => ({ leaf: hashLeaf(entry), index: first + BigInt(i) }));
  const known = await index.find(leaves.map(({ leaf }) => leaf));
  const firsts = leaves.filter(({ leaf, index: at }) => (known(leaf) ?? at) >= at);
  const rows = entries.flatMap((entry, i) => replay.replay(entry, first + BigInt(i)));
  for (const { leaf, index: at } of firsts) index.place(leaf, at);
  index.record({ leaves: firsts, rows, size: first + BigInt(entries.length) });
}
