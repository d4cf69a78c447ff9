/**
 * Derives the tree from what is on disk: full tiles and bundles to the left of the write-ahead log, then every whole
 * batch of it. The tiles that a batch fills are written again, and must equal what is there.
 */

import { StoreError } from "../../kernel/errors.ts";
import { hashLeaf } from "../../kernel/merkle/hash.ts";
import { TILE_WIDTH } from "../../kernel/tile/coordinates.ts";
import { parseEntryBundle } from "../../kernel/tile/entry-bundle.ts";
import type { Disk } from "../storage/disk.ts";
import { Wal, type WalOptions } from "../storage/wal.ts";
import type { WalBatch } from "../storage/wal-frame.ts";
import { EMPTY_EDGE } from "../tree/right-edge.ts";
import type { TileStore } from "../tree/tile-store.ts";
import { GrowingTree, readEdgeStart } from "../tree/tree.ts";

/** The log, derived and open for appending. */
export interface RebuiltLog {
  readonly wal: Wal;
  readonly tree: GrowingTree;
  /** Index of the oldest entry in the write-ahead log: what the index may have lost in a power cut is not older. */
  readonly oldestInWal: bigint;
  /** Refused receipts of forks in the write-ahead log; the archive holds older ones. */
  readonly conflicts: readonly Uint8Array[];
}

/** @throws {StoreError} ERR_WAL_DAMAGE, ERR_TILE_MISSING, ERR_STORE_CONFLICT, all fatal */
export async function rebuildTree(disk: Disk, tiles: TileStore, options: WalOptions): Promise<RebuiltLog> {
  let tree: GrowingTree | undefined;
  const conflicts: Uint8Array[] = [];
  const wal = await Wal.open(disk, options, async (batch) => {
    tree ??= await startTree(tiles, batch.firstIndex);
    appendBatch(tree, batch);
    for (const { kind, bytes } of batch.records) if (kind === "conflict") conflicts.push(bytes.slice());
    if (!tiles.hasRoom) await tiles.flush();
  });
  if (tree === undefined && (await disk.list("tile/entries")).length > 0) {
    // A half-made copy: going on from nothing would sign another history of this log.
    throw new StoreError("ERR_WAL_DAMAGE", "there are bundles, and no batch says where the log goes on", {
      fatal: true,
    });
  }
  tree ??= new GrowingTree(tiles, EMPTY_EDGE);
  await tiles.flush();
  return { wal, tree, oldestInWal: wal.files[0]?.first.index ?? 0n, conflicts };
}

/** The tree of `size` entries: whole bundles from tiles, the rest of the last one from its bundle. */
async function startTree(tiles: TileStore, size: bigint): Promise<GrowingTree> {
  const rest = Number(size % BigInt(TILE_WIDTH));
  const aligned = size - BigInt(rest);
  const tree = new GrowingTree(tiles, await readEdgeStart(tiles, aligned));
  if (rest === 0) return tree;
  const index = aligned / BigInt(TILE_WIDTH);
  const bundle = await tiles.read({ kind: "entries", index, width: TILE_WIDTH });
  if (bundle === undefined) throw new StoreError("ERR_TILE_MISSING", `bundle ${index} is missing`, { fatal: true });
  for (const entry of parseEntryBundle(bundle, TILE_WIDTH).slice(0, rest)) tree.append(entry, hashLeaf(entry));
  return tree;
}

function appendBatch(tree: GrowingTree, batch: WalBatch): void {
  for (const { kind, bytes } of batch.records) if (kind === "entry") tree.append(bytes, hashLeaf(bytes));
}
