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

/** Settings of the log. What a start has to read again follows from them. */
export interface WalOptions {
  /** A file is left for the next one when a frame would end above this. */
  readonly fileBytes: number;
  /** A file is left for the next one once it holds so many entries. Default 16,384. */
  readonly fileEntries?: number;
  /**
   * Bytes and entries of all files above which the log has no room, until some are retired. Defaults 64 MiB and 98,304;
   * the entries of a bundle (256 of 64 KiB) and two files must be below, or none could be retired.
   */
  readonly roomBytes?: number;
  readonly roomEntries?: number;
}

const DEFAULTS = { fileEntries: 16_384, roomBytes: 64 * 1024 * 1024, roomEntries: 98_304 } as const;
const FILLING_SHARE = 0.25;

/** One file of the log, oldest first in `Wal.files`. */
export interface WalFile {
  readonly path: string;
  readonly first: WalPosition;
  /** Bytes of its frames. */
  readonly bytes: number;
  /** True if it holds records that are no entries. */
  readonly hasOthers: boolean;
}

/** A file of this log; the last one changes with every append. */
interface GrowingFile extends WalFile {
  bytes: number;
  hasOthers: boolean;
}

/** What replay hands over, batch by batch, before the log takes new ones. */
export type OnBatch = (batch: WalBatch) => void | Promise<void>;

/** A write-ahead log that is open for appending. One append at a time. */
export class Wal {
  readonly #disk: Disk;
  readonly #options: Required<WalOptions>;
  readonly #salt: bigint;
  #files: GrowingFile[] = [];
  #current: DiskFile | undefined;
  #next: WalPosition = { batch: 1n, index: 0n };
  #spare: Promise<void> | undefined;
  #failed = false;

  private constructor(disk: Disk, options: WalOptions, salt: bigint) {
    this.#disk = disk;
    this.#options = { ...DEFAULTS, ...options };
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
   * The file that may be retired next, if anything may: none while the file that is being written holds no batch, since at
   * least one file must say where the log goes on.
   */
  get oldestLeft(): { readonly file: WalFile; readonly next: WalPosition } | undefined {
    const [file, next] = this.#files;
    return file === undefined || next === undefined || this.#offset === 0 ? undefined : { file, next: next.first };
  }

  /** Where the next frame goes in the file that is being written. */
  get #offset(): number {
    return this.#files.at(-1)?.bytes ?? 0;
  }

  /** Entries in all files: what a start reads again. */
  get entries(): number {
    return Number(this.#next.index - (this.#files[0]?.first.index ?? 0n));
  }

  /** Bytes of frames in all files. */
  get bytes(): number {
    return this.#files.reduce((total, { bytes }) => total + bytes, 0);
  }

  /** False while a start would have to read more than is allowed: files must be retired first. */
  get hasRoom(): boolean {
    return this.#isBelow(1);
  }

  /** True once so much of the room is used that files should be retired, though there is time. */
  get isFilling(): boolean {
    return !this.#isBelow(FILLING_SHARE);
  }

  /** True if less than this share of the room is used. */
  #isBelow(share: number): boolean {
    return this.entries < this.#options.roomEntries * share && this.bytes < this.#options.roomBytes * share;
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
    const file = this.#files.at(-1);
    invariant(file !== undefined, "a batch was written to no file");
    file.bytes += frame.bytes.length;
    file.hasOthers ||= records.some(({ kind }) => kind !== "entry");
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

  /** Gives up `oldestLeft`, whose content is durable elsewhere: it becomes the spare, or is removed. */
  async retireOldest(): Promise<void> {
    const oldest = this.oldestLeft?.file;
    if (oldest === undefined) return;
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
    const hasOthers = scan.frames.some(({ frame }) => frame.records.some(({ kind }) => kind !== "entry"));
    this.#files.push({ path, first: start, bytes: scan.end, hasOthers });
    this.#next = scan.next;
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
    const { fileBytes } = this.#options;
    const isRoomy = this.#offset === 0 || (this.#offset + frameBytes <= fileBytes && !this.#isFilled(1));
    if (this.#current !== undefined && isRoomy) return this.#current;
    const path = pathOf(this.#next.batch);
    // Recorded before it is awaited: a retirement meanwhile must not rename its file over the one that is being made.
    this.#spare ??= this.#makeSpare();
    await this.#spare;
    await this.#disk.rename(`${FOLDER}/${SPARE}`, path);
    await this.#disk.syncFolder(FOLDER);
    await this.#current?.close();
    this.#current = await this.#disk.open(path);
    this.#files.push({ path, first: this.#next, bytes: 0, hasOthers: false });
    this.#spare = undefined;
    return this.#current;
  }

  /** True if the file that is being written has at least this share of what a file takes. */
  #isFilled(share: number): boolean {
    const { fileBytes, fileEntries } = this.#options;
    const entries = Number(this.#next.index - (this.#files.at(-1)?.first.index ?? 0n));
    return this.#offset >= fileBytes * share || entries >= fileEntries * share;
  }

  /** Begins the next file in the background once this one is half full and no retired one is at hand. */
  #prepareSpare(): void {
    if (this.#spare !== undefined || !this.#isFilled(0.5)) return;
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
