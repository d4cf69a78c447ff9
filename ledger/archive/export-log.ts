/** Writes a log, or a range of it, into one file; everything is verified against the checkpoint before it is written. */

import { formatUtf8, parseUtf8 } from "../../kernel/bytes.ts";
import { parseCheckpoint } from "../../kernel/checkpoint/checkpoint.ts";
import { CheckError, FormatError, StoreError } from "../../kernel/errors.ts";
import { hashLeaf } from "../../kernel/merkle/hash.ts";
import { parseNote } from "../../kernel/note/signed-note.ts";
import { TILE_WIDTH } from "../../kernel/tile/coordinates.ts";
import { parseEntryBundle } from "../../kernel/tile/entry-bundle.ts";
import { formatTilePath, type TileRef } from "../../kernel/tile/path.ts";
import { CHECKPOINT_PATH } from "../checkpoint/publisher.ts";
import { openDataFolder } from "../fsck/data-folder.ts";
import { Findings } from "../fsck/finding.ts";
import { MirrorStore, type OpenNote } from "../mirror/mirror-store.ts";
import { VerifiedTiles } from "../mirror/verified-tiles.ts";
import { rebuildTree } from "../recovery/rebuild-tree.ts";
import { lockFolder } from "../storage/folder-lock.ts";
import { makeNodeDisk } from "../storage/node-disk.ts";
import { TileStore } from "../tree/tile-store.ts";
import { type ArchiveManifest, CHECKPOINT_NAME, formatManifest, MANIFEST_NAME, resourcesOf } from "./log-archive.ts";
import { formatTarFile, TAR_END } from "./ustar.ts";

/** Where a log is read from. */
export interface LogSource {
  readonly checkpoint: () => Promise<Uint8Array>;
  readonly read: (ref: TileRef) => Promise<Uint8Array | undefined>;
  readonly close: () => Promise<void>;
}

/** Which entries an export holds; all by default. */
export interface ExportRange {
  readonly fromIndex?: bigint;
  /** Exclusive. */
  readonly toIndex?: bigint;
}

/**
 * The bytes of an archive of the log as its checkpoint states it; the same log and checkpoint give the same bytes.
 *
 * @throws {CheckError} ERR_ROOT_MISMATCH, ERR_TILE_MISSING: the source does not hold what its checkpoint states;
 *   ERR_INDEX_RANGE for a range outside the log
 */
export async function* exportLog(
  source: LogSource,
  range: ExportRange,
  onProgress?: (done: number, total: number) => void,
): AsyncGenerator<Uint8Array, void, undefined> {
  const note = await source.checkpoint();
  const head = parseCheckpoint(parseNote(note).text);
  const manifest = manifestOf(head.origin, head.size, range);
  const tiles = await VerifiedTiles.open(head, source.read);
  yield formatTarFile({ name: MANIFEST_NAME, bytes: formatManifest(manifest) });
  yield formatTarFile({ name: CHECKPOINT_NAME, bytes: note });
  for (const ref of resourcesOf(manifest)) {
    yield formatTarFile({ name: formatTilePath(ref), bytes: await readVerified(source, tiles, ref) });
    if (ref.kind === "entries")
      onProgress?.(Number(ref.index) + 1 - manifest.first_bundle, manifest.end_bundle - manifest.first_bundle);
  }
  yield TAR_END;
}

function manifestOf(origin: string, size: bigint, { fromIndex = 0n, toIndex = size }: ExportRange): ArchiveManifest {
  if (fromIndex > toIndex || toIndex > size) {
    throw new CheckError("ERR_INDEX_RANGE", `want a range of a log of ${size} entries, got [${fromIndex}, ${toIndex})`);
  }
  if (size > BigInt(Number.MAX_SAFE_INTEGER)) throw new FormatError("ERR_LOG_ARCHIVE", "the log is too large");
  const width = BigInt(TILE_WIDTH);
  const first_bundle = Number(fromIndex / width);
  const end_bundle = Number((toIndex + width - 1n) / width);
  return { kind: "log-archive", v: 1, origin, size: Number(size), first_bundle, end_bundle };
}

async function readVerified(source: LogSource, tiles: VerifiedTiles, ref: TileRef): Promise<Uint8Array> {
  if (ref.kind === "hash") return tiles.tile(ref.level, ref.index);
  const bytes = await source.read(ref);
  if (bytes === undefined) throw new CheckError("ERR_TILE_MISSING", `${formatTilePath(ref)} is not to be had`);
  await tiles.checkLeaves(ref.index, parseEntryBundle(bytes, ref.width).map(hashLeaf));
  return bytes;
}

/**
 * A stopped ledger's data folder, as of its published checkpoint.
 *
 * @throws {StoreError} ERR_FOLDER_LOCKED, ERR_NOT_PUBLISHED; as `rebuildTree`
 */
export async function openFolderSource(dataDir: string): Promise<LogSource> {
  await openDataFolder(dataDir, new Findings());
  const lock = await lockFolder(dataDir);
  try {
    const disk = makeNodeDisk(dataDir);
    const fail = (error: unknown): never => {
      throw error;
    };
    const { wal, tree } = await rebuildTree(disk, new TileStore(disk, fail), { fileBytes: 0 });
    await wal.close();
    const checkpoint = async (): Promise<Uint8Array> => readOrThrow(await disk.read(CHECKPOINT_PATH));
    return { checkpoint, read: (ref) => tree.readTile(ref), close: lock.release };
  } catch (error) {
    await lock.release();
    throw error;
  }
}

/** A mirror's folder. */
export async function openMirrorSource(folder: string): Promise<LogSource> {
  const disk = makeNodeDisk(folder);
  const openNote: OpenNote = (note) => {
    const { size, root } = parseCheckpoint(parseNote(note).text);
    return { size, root, note };
  };
  const store = await MirrorStore.open(disk, openNote);
  const checkpoint = async (): Promise<Uint8Array> =>
    readOrThrow(store.published === undefined ? undefined : formatUtf8(store.published.note));
  return { checkpoint, read: (ref) => store.read(ref), close: () => Promise.resolve() };
}

function readOrThrow(bytes: Uint8Array | undefined): Uint8Array {
  if (bytes === undefined) throw new StoreError("ERR_NOT_PUBLISHED", "the log has published nothing to be exported");
  parseUtf8(bytes);
  return bytes;
}
