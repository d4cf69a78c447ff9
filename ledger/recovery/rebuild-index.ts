/**
 * Makes the index anew from write-ahead log, bundles and tiles, while no ledger runs. A crash on the way leaves an index
 * that covers a part of the log; the next start, or the next rebuild, goes on.
 */

import { rm } from "node:fs/promises";
import { join } from "node:path";
import { StoreError } from "../../kernel/errors.ts";
import { type Genesis, parseGenesis } from "../../kernel/genesis.ts";
import { StreamBook } from "../admission/stream-book.ts";
import { openDataFolder } from "../fsck/data-folder.ts";
import { Findings } from "../fsck/finding.ts";
import { LEAVES_FOLDER, LeafTables } from "../leaves/leaf-tables.ts";
import { makeInlineTableMaker } from "../leaves/table-thread.ts";
import { replayAll, StatementBook } from "../lifecycle/statement-book.ts";
import { EntryIndex } from "../sequence/entry-index.ts";
import { openLevelIndex } from "../sequence/level-index.ts";
import { lockFolder } from "../storage/folder-lock.ts";
import { makeNodeDisk } from "../storage/node-disk.ts";
import { readRetention } from "../storage/retention.ts";
import { replayBoth, TraceBook } from "../trace/trace-book.ts";
import { TileStore } from "../tree/tile-store.ts";
import { catchUpIndex, type EntryReplay, leafSourceOf } from "./catch-up-index.ts";
import { rebuildTree } from "./rebuild-tree.ts";

/** What is rebuilt. */
export interface RebuildOptions {
  readonly dataDir: string;
  /** Derives the log and stops before anything is removed. */
  readonly isDryRun: boolean;
  readonly onProgress?: (done: number, total: number) => void;
}

/**
 * Removes the index and writes it again.
 *
 * @returns the number of entries that it covers
 * @throws {StoreError} ERR_FOLDER_LOCKED; ERR_WAL_DAMAGE, ERR_TILE_MISSING, ERR_STORE_CONFLICT: then nothing was removed
 */
export async function rebuildIndex({ dataDir, isDryRun, onProgress }: RebuildOptions): Promise<bigint> {
  await openDataFolder(dataDir, new Findings());
  const lock = await lockFolder(dataDir);
  try {
    const disk = makeNodeDisk(dataDir);
    const fail = (error: unknown): never => {
      throw error;
    };
    const { wal, tree, oldestInWal } = await rebuildTree(disk, new TileStore(disk, fail), { fileBytes: 0 });
    await wal.close();
    if (tree.size === 0n) throw new StoreError("ERR_LOG_BEHIND", "the folder holds no entry");
    if (isDryRun) return tree.size;
    const genesis = parseGenesis(await tree.readEntry(0n));
    for (const folder of ["index", LEAVES_FOLDER]) await rm(join(dataDir, folder), { recursive: true, force: true });
    const store = await openLevelIndex(dataDir);
    const leaves = new LeafTables({ dataDir, maker: makeInlineTableMaker() });
    try {
      const replay = counting(replayAll([...booksOf(genesis), new StatementBook()]), tree.size, onProgress);
      const minimumIndex = BigInt((await readRetention(disk))?.minimum_index ?? 0);
      await leaves.bind(leafSourceOf(tree));
      const index = new EntryIndex(store, leaves, fail);
      await catchUpIndex({ tree, store, index, oldestInWal, replay, minimumIndex });
      await index.flush();
      await store.sync();
    } finally {
      await leaves.close();
      await store.close();
    }
    return tree.size;
  } finally {
    await lock.release();
  }
}

/** Raw entries are only hashed; they add no rows, unless the log says something of itself. */
function booksOf({ log_kind: kind, origin }: Genesis): readonly EntryReplay[] {
  return kind === "receipts" ? [replayBoth(new StreamBook(), new TraceBook(origin))] : [];
}

function counting(replay: EntryReplay, size: bigint, onProgress: RebuildOptions["onProgress"]): EntryReplay {
  return {
    load: (store) => replay.load(store),
    replay: (entry, index) => {
      onProgress?.(Number(index) + 1, Number(size));
      return replay.replay(entry, index);
    },
  };
}
