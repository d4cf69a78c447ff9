/** The tree that a term works on, derived from stored tiles and sequenced entries. */

import { hashLeaf } from "../../kernel/merkle/hash.ts";
import { TILE_WIDTH } from "../../kernel/tile/coordinates.ts";
import { checkHead } from "../recovery/check-heads.ts";
import type { TreeHead } from "../storage/head-store.ts";
import { GrowingTree, readEdgeStart } from "../tree/tree.ts";
import { readRun } from "./batch-table.ts";
import { bigintAt, type Sql } from "./database.ts";
import type { TileBucket } from "./tile-bucket.ts";

/** Tiles and bundles that wait for the object store at most, before they are written between two checkpoints. */
export const MAX_WAITING_TILES = 256;

/** Where the sequenced entries of a log are. */
export interface SequencedLog {
  readonly database: Sql;
  readonly log: bigint;
}

/**
 * The tree at the recorded size or above it.
 *
 * @throws {StoreError} fatal: ERR_TILE_MISSING, ERR_BATCH_DAMAGE, ERR_LOG_BEHIND, ERR_LOG_FORKED; ERR_DATABASE, ERR_OBJECT_STORE
 */
export async function deriveTree(
  { database, log }: SequencedLog,
  tiles: TileBucket,
  row: TreeHead,
): Promise<GrowingTree> {
  const aligned = row.size - (row.size % BigInt(TILE_WIDTH));
  const tree = new GrowingTree(tiles, await readEdgeStart(tiles, aligned));
  while (tree.size < row.size) {
    const run = await readRun(database, log, tree.size);
    if (run === undefined) break;
    for (const entry of run.entries) tree.append(entry, hashLeaf(entry));
  }
  if (row.size > 0n) await checkHead(tree, row, "the recorded head");
  return tree;
}

/**
 * Appends all that has an index by now. Full tiles and bundles are stored on the way, and must be those that are stored already.
 *
 * @returns false if there was nothing
 * @throws {StoreError} fatal: ERR_BATCH_DAMAGE, ERR_STORE_CONFLICT; ERR_DATABASE, ERR_OBJECT_STORE
 */
export async function appendSequenced(
  { database, log }: SequencedLog,
  tiles: TileBucket,
  tree: GrowingTree,
): Promise<boolean> {
  const [row] = await database.query("SELECT next_index FROM countersign_sequence WHERE log = $1", [log]);
  const [start, end] = [tree.size, bigintAt(row, "next_index")];
  while (tree.size < end) {
    const run = await readRun(database, log, tree.size);
    if (run === undefined) break;
    for (const entry of run.entries) tree.append(entry, hashLeaf(entry));
    if (tiles.waiting >= MAX_WAITING_TILES) await tiles.flush();
  }
  return tree.size > start;
}
