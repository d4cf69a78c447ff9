/**
 * Raises the minimum index of a stopped log, and deletes bundles below it if that is asked for. The raised minimum is durable
 * before the first bundle goes: a crash in between leaves bundles that the next run deletes.
 */

import { stat } from "node:fs/promises";
import { join } from "node:path";
import { parseUtf8 } from "../../kernel/bytes.ts";
import { parseCheckpoint } from "../../kernel/checkpoint/checkpoint.ts";
import { CheckError, StoreError } from "../../kernel/errors.ts";
import { parseNote } from "../../kernel/note/signed-note.ts";
import { TILE_WIDTH } from "../../kernel/tile/coordinates.ts";
import { parseEntryBundle } from "../../kernel/tile/entry-bundle.ts";
import { formatTilePath } from "../../kernel/tile/path.ts";
import { CHECKPOINT_PATH } from "../checkpoint/publisher.ts";
import { openDataFolder } from "../fsck/data-folder.ts";
import { Findings } from "../fsck/finding.ts";
import { readGenesisOf } from "../fsck/genesis-of.ts";
import { isStatementLike } from "../lifecycle/statement-book.ts";
import { rebuildTree } from "../recovery/rebuild-tree.ts";
import { type Disk, folderOf } from "../storage/disk.ts";
import { lockFolder } from "../storage/folder-lock.ts";
import { makeNodeDisk } from "../storage/node-disk.ts";
import { readRetention, writeRetention } from "../storage/retention.ts";
import { TileStore } from "../tree/tile-store.ts";

const WIDTH = BigInt(TILE_WIDTH);

/** What is pruned. */
export interface PruneOptions {
  readonly dataDir: string;
  /** The new minimum index; at most the published size, never below the old one. */
  readonly beforeIndex: bigint;
  /** Where the published retention policy stands, or what it is called. */
  readonly policy: string;
  /** Also delete the bundles; without it they are only refused. */
  readonly isDeleting: boolean;
  /** Say what would be done; change nothing. */
  readonly isDryRun: boolean;
}

/** What was done, or would be. */
export interface Pruned {
  readonly minimumIndex: bigint;
  /** Bundles that are deleted. */
  readonly bundles: number;
  readonly bytes: number;
}

/**
 * Prunes a log.
 *
 * @throws {CheckError} ERR_RETENTION: no policy, a minimum above the published size or below the old one, deletion in a
 *   log of receipts, whose streams are rebuilt from their receipts
 * @throws {StoreError} ERR_FOLDER_LOCKED, ERR_FILE_READ, ERR_NOT_PUBLISHED; as `rebuildTree`
 */
export async function prune(options: PruneOptions): Promise<Pruned> {
  const { dataDir, beforeIndex, policy } = options;
  const folder = await openDataFolder(dataDir, new Findings());
  const lock = await lockFolder(dataDir);
  try {
    const disk = makeNodeDisk(dataDir);
    await checkAllowed(options, disk, (await readGenesisOf(folder)).log_kind);
    const paths = options.isDeleting ? await deletable(disk, beforeIndex) : [];
    const sizes = await Promise.all(paths.map(async (path) => (await stat(join(dataDir, path))).size));
    if (!options.isDryRun) {
      await writeRetention(disk, { kind: "retention", v: 1, minimum_index: Number(beforeIndex), policy });
      await remove(disk, paths);
    }
    return { minimumIndex: beforeIndex, bundles: paths.length, bytes: sizes.reduce((sum, size) => sum + size, 0) };
  } finally {
    await lock.release();
  }
}

/** SPEC tlog-tiles: without a published retention policy the minimum index MUST be 0; it is at most the size. */
async function checkAllowed(options: PruneOptions, disk: Disk, kind: "raw" | "receipts"): Promise<void> {
  const { beforeIndex, isDeleting } = options;
  if (options.policy === "") throw new CheckError("ERR_RETENTION", "want a published retention policy");
  if (isDeleting && kind === "receipts") {
    throw new CheckError(
      "ERR_RETENTION",
      "bundles of a log of receipts are refused, not deleted: its streams are rebuilt from them",
    );
  }
  const note = await disk.read(CHECKPOINT_PATH);
  if (note === undefined) throw new StoreError("ERR_NOT_PUBLISHED", "the log has published nothing yet");
  const { size } = parseCheckpoint(parseNote(parseUtf8(note)).text);
  if (beforeIndex > size) throw new CheckError("ERR_RETENTION", `want at most the published size ${size}`);
  const old = BigInt((await readRetention(disk))?.minimum_index ?? 0);
  if (beforeIndex < old) throw new CheckError("ERR_RETENTION", `the minimum index is ${old} and never goes back`);
}

/**
 * Bundles below the minimum that nothing else needs: a start reads the first one, for the genesis entry, and those that
 * the write-ahead log still covers.
 */
async function deletable(disk: Disk, beforeIndex: bigint): Promise<readonly string[]> {
  const fail = (error: unknown): never => {
    throw error;
  };
  const { wal, oldestInWal } = await rebuildTree(disk, new TileStore(disk, fail), { fileBytes: 0 });
  await wal.close();
  const limit = beforeIndex < oldestInWal ? beforeIndex : oldestInWal;
  const paths: string[] = [];
  for (let index = 1n; (index + 1n) * WIDTH <= limit; index += 1n) {
    const path = formatTilePath({ kind: "entries", index, width: TILE_WIDTH });
    const bundle = await disk.read(path);
    // What the log has said of itself is read from its entries when the index is built again.
    if (bundle !== undefined && !parseEntryBundle(bundle, TILE_WIDTH).some(isStatementLike)) paths.push(path);
  }
  return paths;
}

async function remove(disk: Disk, paths: readonly string[]): Promise<void> {
  for (const path of paths) await disk.remove(path);
  for (const folder of new Set(paths.map(folderOf))) await disk.syncFolder(folder);
}
