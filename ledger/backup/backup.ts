/**
 * Copies a data folder while its ledger runs, so that the copy is a whole log of its own:
 *
 *     1. tiles and bundles, immutable; most of the bytes
 *     2. the archive
 *     3. `head` and the published checkpoints are read, and kept in memory
 *     4. the write-ahead log is read; it was synced before the head of step 3 was recorded, so it derives that head,
 *        unless a file was retired meanwhile, and then tiles have its entries
 *     5. the tiles that were finished since step 1, up to the size that step 4 derives and no further: one beyond it
 *        would contradict what the copy appends later
 *     6. head and checkpoints are written, and the write-ahead log last: without it no ledger starts on the copy
 *
 * Index, lock and spare files are not copied; the index is rebuilt at the first start.
 */

import { readdir } from "node:fs/promises";
import { isCodedError, StoreError } from "../../kernel/errors.ts";
import { TILE_WIDTH, tileWidth } from "../../kernel/tile/coordinates.ts";
import { CHECKPOINT_PATH, UNWITNESSED_PATH } from "../checkpoint/publisher.ts";
import { type DataFolder, openDataFolder } from "../fsck/data-folder.ts";
import { Findings } from "../fsck/finding.ts";
import { refOf } from "../fsck/log-walk.ts";
import type { Disk, NewFile } from "../storage/disk.ts";
import { writeOnce } from "../storage/durable-file.ts";
import { HEAD_PATH, readSlot, SLOT_BYTES } from "../storage/head-store.ts";
import { makeFolderDurably } from "../storage/make-folder.ts";
import { makeNodeDisk } from "../storage/node-disk.ts";
import { RETENTION_PATH } from "../storage/retention.ts";
import { readSalt, SALT_PATH } from "../storage/wal-salt.ts";
import { firstPosition, scanWal, type WalPosition } from "../storage/wal-scan.ts";

const WAL_NAME = /^wal\/\d{16}\.wal$/;
/** Files that are written together. */
const GROUP = 32;
/** Readings of what the running ledger changes under our hands. */
const MAX_READINGS = 20;

/** What is copied where. */
export interface BackupOptions {
  readonly dataDir: string;
  /** A folder that does not exist yet, or is empty. */
  readonly to: string;
  readonly onProgress?: (done: number, total: number) => void;
  /** Awaited between the steps: a stall hook. */
  readonly onStep?: (step: "tiles" | "heads" | "wal") => Promise<void>;
}

/** What the copy holds. */
export interface Backup {
  /** Entries that the copy derives. */
  readonly size: bigint;
  /** Of the newest head recorded in it. */
  readonly headSize: bigint;
}

/**
 * Copies a data folder; the ledger may run on it.
 *
 * @throws {StoreError} ERR_FILE_WRITE if the target is not empty; ERR_FILE_READ; ERR_WAL_DAMAGE, ERR_HEAD_DAMAGE: the
 *   source is damaged, run fsck
 */
export async function backUp({ dataDir, to, onProgress, onStep }: BackupOptions): Promise<Backup> {
  const source = await openDataFolder(dataDir, new Findings());
  await makeEmptyFolder(to);
  const target = makeNodeDisk(to);
  const first = (await source.list("tile")).filter((path) => isFullTile(path, undefined));
  await copyFiles(source, target, first, onProgress);
  await onStep?.("tiles");
  await copyFiles(
    source,
    target,
    (await source.list("archive")).filter((path) => path.endsWith(".frames")),
  );
  const heads = await readHeads(source);
  await onStep?.("heads");
  const wal = await readWal(source);
  await onStep?.("wal");
  const copied = new Set(first);
  const isLate = (path: string): boolean => !copied.has(path) && isFullTile(path, wal.end);
  await copyFiles(source, target, (await source.list("tile")).filter(isLate));
  await dropBeyond(target, first, wal.end);
  // A segment that left the write-ahead log in between is in the archive by now.
  await copyFiles(
    source,
    target,
    (await source.list("archive")).filter((path) => path.endsWith(".frames")),
  );
  if (heads.size > wal.end)
    throw damaged("ERR_WAL_DAMAGE", `the write-ahead log ends at ${wal.end}, in front of the head`);
  const retention = await source.read(RETENTION_PATH);
  if (retention !== undefined) await writeOnce(target, [{ path: RETENTION_PATH, bytes: retention }]);
  await writeOnce(target, heads.files);
  await writeOnce(target, wal.files);
  return { size: wal.end, headSize: heads.size };
}

async function makeEmptyFolder(to: string): Promise<void> {
  await makeFolderDurably(to);
  if ((await readdir(to)).length === 0) return;
  throw new StoreError("ERR_FILE_WRITE", `${to} is not empty: a copy is never written over another`);
}

/** A full tile or bundle, of a log of this size if one is given. */
function isFullTile(path: string, size: bigint | undefined): boolean {
  const ref = refOf(path);
  if (ref?.width !== TILE_WIDTH) return false;
  if (size === undefined) return true;
  return tileWidth({ level: ref.kind === "hash" ? ref.level : 0, index: ref.index }, size) === TILE_WIDTH;
}

async function copyFiles(
  source: DataFolder,
  target: Disk,
  paths: readonly string[],
  onProgress?: BackupOptions["onProgress"],
): Promise<void> {
  for (let at = 0; at < paths.length; at += GROUP) {
    const group = await Promise.all(paths.slice(at, at + GROUP).map((path) => readExisting(source, path)));
    await writeOnce(target, group);
    onProgress?.(Math.min(paths.length, at + GROUP), paths.length);
  }
}

async function readExisting(source: DataFolder, path: string): Promise<NewFile> {
  const bytes = await source.read(path);
  if (bytes !== undefined) return { path, bytes };
  throw new StoreError("ERR_FILE_READ", `${path} went away while it was copied`);
}

/** A tile of the first step that the derived size does not reach can only be left from a log that lost its end. */
async function dropBeyond(target: Disk, paths: readonly string[], size: bigint): Promise<void> {
  for (const path of paths) if (!isFullTile(path, size)) await target.remove(path);
}

interface Heads {
  readonly files: readonly NewFile[];
  readonly size: bigint;
}

/** Both slots of the head as one moment has them, and the published checkpoints: readers have seen them. */
async function readHeads(source: DataFolder): Promise<Heads> {
  for (let reading = 0; reading < MAX_READINGS; reading += 1) {
    const bytes = await source.read(HEAD_PATH);
    if (bytes === undefined) continue;
    const slots = [0, SLOT_BYTES].map((offset) => readSlot(bytes, offset));
    if (slots.slice(0, bytes.length / SLOT_BYTES).includes(undefined)) continue;
    const size = slots.reduce((largest, slot) => (slot !== undefined && slot.size > largest ? slot.size : largest), 0n);
    const published: NewFile[] = [];
    for (const path of [CHECKPOINT_PATH, UNWITNESSED_PATH]) {
      const checkpoint = await source.read(path);
      if (checkpoint !== undefined) published.push({ path, bytes: checkpoint });
    }
    return { size, files: [{ path: HEAD_PATH, bytes }, ...published] };
  }
  throw damaged("ERR_HEAD_DAMAGE", "the recorded head cannot be read whole");
}

interface WalCopy {
  readonly files: readonly NewFile[];
  /** Entries that it derives. */
  readonly end: bigint;
}

/** Reads the write-ahead log again until no file was retired or used again meanwhile. */
async function readWal(source: DataFolder): Promise<WalCopy> {
  const saltFile = await readSaltFile(source);
  const salt = readSalt(saltFile.bytes);
  let fault: unknown;
  for (let reading = 0; reading < MAX_READINGS; reading += 1) {
    const paths = (await source.list("wal")).filter((path) => WAL_NAME.test(path));
    const files: NewFile[] = [];
    for (const path of paths) files.push({ path, bytes: (await source.read(path)) ?? new Uint8Array(0) });
    const after = new Set(await source.list("wal"));
    if (paths.some((path) => !after.has(path))) continue;
    try {
      const { files: kept, end } = cutTail(files, salt);
      return { files: [saltFile, ...kept], end };
    } catch (error) {
      if (!isCodedError(error)) throw error;
      fault = error;
    }
  }
  throw damaged("ERR_WAL_DAMAGE", "the write-ahead log cannot be read whole", fault);
}

/** The salt with which the frames are read. */
async function readSaltFile(source: DataFolder): Promise<NewFile> {
  const bytes = await source.read(SALT_PATH);
  if (bytes === undefined) throw damaged("ERR_WAL_DAMAGE", `${SALT_PATH} is missing`);
  return { path: SALT_PATH, bytes };
}

/** The files up to the last whole batch; what a write in flight left behind it is not copied. */
function cutTail(files: readonly NewFile[], salt: bigint): WalCopy {
  let next: WalPosition | undefined;
  const kept: NewFile[] = [];
  for (const { path, bytes } of files) {
    next ??= firstPosition(bytes, salt) ?? { batch: 1n, index: 0n };
    const scan = scanWal(path, bytes, next, salt);
    if (!path.endsWith(`${next.batch.toString().padStart(16, "0")}.wal`)) {
      throw new StoreError("ERR_WAL_DAMAGE", `${path}: want batch ${next.batch} here`);
    }
    kept.push({ path, bytes: bytes.subarray(0, scan.end) });
    next = scan.next;
  }
  if (next === undefined) throw new StoreError("ERR_WAL_DAMAGE", "there is no write-ahead log");
  return { files: kept, end: next.index };
}

function damaged(code: "ERR_WAL_DAMAGE" | "ERR_HEAD_DAMAGE", what: string, cause?: unknown): StoreError {
  return new StoreError(code, what, { cause });
}
