/**
 * Full tiles and bundles, each one immutable file in the C2SP layout. They are written in the background, in order,
 * some at a time; until one is durable it is read from memory. What waits is bounded by `hasRoom`.
 */

import { StoreError } from "../../kernel/errors.ts";
import { HASH_BYTES } from "../../kernel/merkle/hash.ts";
import { formatTilePath, TILE_WIDTH, type TileRef } from "../../kernel/tile/path.ts";
import type { Disk, NewFile } from "../storage/disk.ts";
import { FolderNames, writeOnce } from "../storage/durable-file.ts";
import { RecentMap } from "./recent-map.ts";
import type { FullTile } from "./right-edge.ts";

/** Files that are written at the same time; each folder among them is synced once. */
const GROUP_FILES = 64;
/** Bytes that may wait for the disk before admission has to wait too. */
const MAX_WAITING_BYTES = 128 * 1024 * 1024;
/** Hash tiles kept after a read: 16 MiB. */
const CACHED_TILES = 2048;

const TILE_BYTES = TILE_WIDTH * HASH_BYTES;

/** Called once when a write failed; nothing may be signed or acknowledged after it. */
export type OnFatal = (error: unknown) => void;

/** Reads and writes full tiles. */
export class TileStore {
  readonly #disk: Disk;
  readonly #onFatal: OnFatal;
  readonly #names: FolderNames;
  readonly #waiting = new Map<string, FullTile>();
  readonly #recent = new RecentMap<string, Uint8Array>(CACHED_TILES);
  #waitingBytes = 0;
  #writing: Promise<void> = Promise.resolve();
  #isWriting = false;

  constructor(disk: Disk, onFatal: OnFatal) {
    this.#disk = disk;
    this.#names = new FolderNames(disk);
    this.#onFatal = onFatal;
  }

  /** False while too many bytes wait for the disk. */
  get hasRoom(): boolean {
    return this.#waitingBytes < MAX_WAITING_BYTES;
  }

  /** Takes a tile that will be durable at some later `flush`. */
  add(tile: FullTile): void {
    this.#waiting.set(formatTilePath(tile.ref), tile);
    this.#waitingBytes += heldBy(tile.bytes);
    if (this.#isWriting) return;
    this.#isWriting = true;
    this.#writing = this.#writeAll();
    this.#writing.catch(this.#onFatal);
  }

  /** Resolves when every tile added so far is durable. @throws {StoreError} ERR_STORE_WRITE, ERR_STORE_CONFLICT */
  async flush(): Promise<void> {
    const last = [...this.#waiting.keys()].at(-1);
    while (last !== undefined && this.#waiting.has(last)) await this.#writing;
  }

  /** Bytes of a full tile or bundle; undefined if it does not exist. */
  async read(ref: TileRef): Promise<Uint8Array | undefined> {
    const path = formatTilePath(ref);
    // A copy: not everything that readers do takes memory which threads share.
    const known = this.#waiting.get(path)?.bytes.slice() ?? this.#recent.get(path);
    if (known !== undefined) return known;
    const bytes = (await this.#readTile(ref, path)) ?? (await this.#disk.read(path));
    if (bytes !== undefined && ref.kind === "hash") this.#recent.set(path, bytes);
    return bytes;
  }

  /** A full hash tile has one length. */
  async #readTile({ kind }: TileRef, path: string): Promise<Uint8Array | undefined> {
    return kind === "hash" ? this.#disk.readKnown?.(path, TILE_BYTES) : undefined;
  }

  async #writeAll(): Promise<void> {
    try {
      while (this.#waiting.size > 0) await this.#writeGroup();
      this.#isWriting = false;
    } catch (cause) {
      if (cause instanceof StoreError) throw cause;
      throw new StoreError("ERR_STORE_WRITE", "a tile could not be written", { cause, fatal: true });
    }
  }

  async #writeGroup(): Promise<void> {
    const files: NewFile[] = [];
    for (const [path, { bytes }] of this.#waiting) {
      files.push({ path, bytes });
      if (files.length === GROUP_FILES) break;
    }
    await writeOnce(this.#disk, files, this.#names);
    for (const { path, bytes } of files) {
      const tile = this.#waiting.get(path);
      this.#waiting.delete(path);
      this.#waitingBytes -= heldBy(bytes);
      tile?.release?.();
    }
  }
}

/** Bytes that a file holds in memory: it may have room behind it. */
function heldBy(bytes: Uint8Array): number {
  return bytes.buffer.byteLength;
}
