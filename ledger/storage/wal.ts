/**
 * The write-ahead log: what is acknowledged is in it, synced. Files `wal/<number of the first batch, 16 digits>.wal`
 * are filled one after the other. A file that tiles, bundles, index and archive cover is used again under a new name,
 * so that appending overwrites blocks that the disk has already given and a sync moves no metadata. `wal/salt` marks
 * every frame as the log's own.
 */

import { invariant, StoreError } from "../../kernel/errors.ts";
import type { Disk, DiskFile } from "./disk.ts";
import { formatFrame, type WalBatch, type WalRecord } from "./wal-frame.ts";
import { openSalt } from "./wal-salt.ts";
import { firstPosition, scanWal, type WalPosition } from "./wal-scan.ts";

const FOLDER = "wal";
const NAME = /^\d{16}\.wal$/;
const SPARE = "spare.wal";
const ZEROS = new Uint8Array(1 << 20);

/** Settings of the log. */
export interface WalOptions {
  /** A file is left for the next one when a frame would end above this. */
  readonly fileBytes: number;
}

/** One file of the log, oldest first in `Wal.files`. */
export interface WalFile {
  readonly path: string;
  readonly first: WalPosition;
}

/** What replay hands over, batch by batch, before the log takes new ones. */
export type OnBatch = (batch: WalBatch) => void | Promise<void>;

/** A write-ahead log that is open for appending. One append at a time. */
export class Wal {
  readonly #disk: Disk;
  readonly #options: WalOptions;
  readonly #salt: bigint;
  #files: WalFile[] = [];
  #current: DiskFile | undefined;
  #offset = 0;
  #next: WalPosition = { batch: 1n, index: 0n };
  #spare: Promise<void> | undefined;
  #failed = false;

  private constructor(disk: Disk, options: WalOptions, salt: bigint) {
    this.#disk = disk;
    this.#options = options;
    this.#salt = salt;
  }

  /**
   * Replays every whole batch in order, cuts a torn tail, and opens the log behind the last whole batch.
   *
   * @throws {StoreError} ERR_WAL_DAMAGE, fatal; what `onBatch` throws
   */
  static async open(disk: Disk, options: WalOptions, onBatch: OnBatch): Promise<Wal> {
    await disk.makeFolder(FOLDER);
    const names = await disk.list(FOLDER);
    const salt = await openSalt(disk, !names.some((name) => NAME.test(name)));
    const wal = new Wal(disk, options, salt);
    await wal.#replay(names, onBatch);
    return wal;
  }

  /** Where the next batch goes on. */
  get next(): WalPosition {
    return this.#next;
  }

  /** The files, oldest first; the last one is being written. */
  get files(): readonly WalFile[] {
    return this.#files;
  }

  /**
   * Writes one batch and syncs it; durable when it resolves. Resolves to the records as written: views of the bytes
   * that went to the disk, from which the caller computes everything that follows.
   *
   * @throws {StoreError} ERR_STORE_WRITE, fatal: the tail is unknown, and this log takes nothing any more. A second
   *   sync after a failed one may report success for pages that were dropped, so there is none.
   */
  async append(records: readonly WalRecord[]): Promise<readonly WalRecord[]> {
    if (this.#failed) throw new StoreError("ERR_STORE_WRITE", "the write-ahead log failed before", { fatal: true });
    const frame = formatFrame({ batch: this.#next.batch, firstIndex: this.#next.index, records }, this.#salt);
    try {
      const file = await this.#fileFor(frame.bytes.length);
      await file.write(frame.bytes, this.#offset);
      await file.datasync();
    } catch (cause) {
      this.#failed = true;
      throw new StoreError("ERR_STORE_WRITE", "a write or sync of the write-ahead log failed", { cause, fatal: true });
    }
    this.#offset += frame.bytes.length;
    this.#next = advance(this.#next, records);
    this.#prepareSpare();
    return frame.records;
  }

  /** Batches of a file that is no longer written. */
  async read(file: WalFile): Promise<readonly WalBatch[]> {
    const bytes = await this.#disk.read(file.path);
    invariant(bytes !== undefined, `${file.path} is gone`);
    return scanWal(file.path, bytes, file.first, this.#salt).frames.map(({ frame }) => frame);
  }

  /**
   * Gives up the oldest file, whose content is durable elsewhere: it becomes the spare, or is removed. Does nothing
   * while the file that is being written holds no batch: at least one file must say where the log goes on.
   */
  async retireOldest(): Promise<void> {
    const [oldest] = this.#files;
    if (oldest === undefined || this.#files.length < 2 || this.#offset === 0) return;
    this.#files = this.#files.slice(1);
    if (this.#spare === undefined) {
      this.#spare = this.#disk.rename(oldest.path, `${FOLDER}/${SPARE}`);
      this.#spare.catch(() => undefined);
      await this.#spare;
    } else {
      await this.#disk.remove(oldest.path);
    }
    await this.#disk.syncFolder(FOLDER);
  }

  /** Closes the file that is being written. */
  async close(): Promise<void> {
    this.#failed = true;
    await this.#spare?.catch(() => undefined);
    await this.#current?.close();
    this.#current = undefined;
  }

  async #replay(names: readonly string[], onBatch: OnBatch): Promise<void> {
    if (names.includes(SPARE)) this.#spare = Promise.resolve();
    for (const name of names.filter((each) => NAME.test(each))) await this.#replayFile(`${FOLDER}/${name}`, onBatch);
  }

  async #replayFile(path: string, onBatch: OnBatch): Promise<void> {
    const bytes = (await this.#disk.read(path)) ?? new Uint8Array(0);
    const start = this.#files.length === 0 ? this.#startOf(path, bytes) : this.#next;
    const scan = scanWal(path, bytes, start, this.#salt);
    // A file is begun only when every batch before it is durable: another name means that batches are gone.
    if (pathOf(start.batch) !== path) {
      throw new StoreError("ERR_WAL_DAMAGE", `${path}: want batch ${start.batch} here`, { fatal: true });
    }
    for (const { frame } of scan.frames) await onBatch(frame);
    await this.#current?.close();
    this.#current = await this.#disk.open(path);
    await this.#renewTail(bytes, scan.frames.at(-1)?.offset ?? 0, scan.end);
    this.#files.push({ path, first: start });
    [this.#offset, this.#next] = [scan.end, scan.next];
  }

  /** The oldest file says itself where it starts: its first frame must be the batch of its name. */
  #startOf(path: string, bytes: Uint8Array): WalPosition {
    const first = firstPosition(bytes, this.#salt);
    if (first !== undefined && pathOf(first.batch) === path) return first;
    if (path === pathOf(1n)) return { batch: 1n, index: 0n };
    throw new StoreError("ERR_WAL_DAMAGE", `${path} does not begin with the batch of its name`, { fatal: true });
  }

  /**
   * Writes the last whole batch once more. If its sync had failed, the bytes just read may be in memory only and count
   * as clean: a sync alone would not write them.
   */
  async #renewTail(bytes: Uint8Array, start: number, end: number): Promise<void> {
    if (end === start || this.#current === undefined) return;
    await this.#current.write(bytes.subarray(start, end), start);
    await this.#current.datasync();
    await this.#disk.syncFolder(FOLDER);
  }

  async #fileFor(frameBytes: number): Promise<DiskFile> {
    if (this.#current !== undefined && (this.#offset === 0 || this.#offset + frameBytes <= this.#options.fileBytes)) {
      return this.#current;
    }
    const path = pathOf(this.#next.batch);
    // Recorded before it is awaited: a retirement meanwhile must not rename its file over the one that is being made.
    this.#spare ??= this.#makeSpare();
    await this.#spare;
    await this.#disk.rename(`${FOLDER}/${SPARE}`, path);
    await this.#disk.syncFolder(FOLDER);
    await this.#current?.close();
    this.#current = await this.#disk.open(path);
    this.#offset = 0;
    this.#files.push({ path, first: this.#next });
    this.#spare = undefined;
    return this.#current;
  }

  /** Begins the next file in the background once this one is half full and no retired one is at hand. */
  #prepareSpare(): void {
    if (this.#spare !== undefined || this.#offset < this.#options.fileBytes / 2) return;
    this.#spare = this.#makeSpare();
    this.#spare.catch(() => undefined);
  }

  /** A file of zeros, so that later writes change no metadata. */
  async #makeSpare(): Promise<void> {
    const path = `${FOLDER}/${SPARE}`;
    const file = await this.#disk.open(path);
    for (let at = 0; at < this.#options.fileBytes; at += ZEROS.length) {
      await file.write(ZEROS.subarray(0, Math.min(ZEROS.length, this.#options.fileBytes - at)), at);
    }
    await file.datasync();
    await file.close();
    await this.#disk.syncFolder(FOLDER);
  }
}

function pathOf(batch: bigint): string {
  return `${FOLDER}/${batch.toString().padStart(16, "0")}.wal`;
}

function advance(from: WalPosition, records: readonly WalRecord[]): WalPosition {
  let index = from.index;
  for (const record of records) if (record.kind === "entry") index += 1n;
  return { batch: from.batch + 1n, index };
}
