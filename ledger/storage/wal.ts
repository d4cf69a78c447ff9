/**
 * The write-ahead log: what is acknowledged is in it, synced. Files `wal/<number of the first batch, 16 digits>.wal`
 * are filled one after the other. A file that tiles, bundles, index and archive cover is used again under a new name,
 * so that appending overwrites blocks that the disk has already given and a sync moves no metadata. `wal/salt` marks
 * every frame as the log's own.
 */

import { invariant, StoreError } from "../../kernel/errors.ts";
import type { EntryRanges } from "../../kernel/merkle/hash.ts";
import { type Disk, type DiskFile, writeSynced } from "./disk.ts";
import { FileOthers, othersAmong } from "./file-others.ts";
import { FRAME_TYPES, type FramePart, formatFrame, type WalBatch, type WalRecord } from "./wal-frame.ts";
import { openSalt } from "./wal-salt.ts";
import { firstPosition, isTornBatch, scanWal, TORN_HEADER_BYTES, type WalPosition } from "./wal-scan.ts";
import { WalSpares } from "./wal-spares.ts";

const FOLDER = "wal";
const NAME = /^\d{16}\.wal$/;

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
/** Two batches are on their way at most. */
const KEPT_MEMORIES = 2;
const KEPT_BYTES = 2 * 1024 * 1024;
const LEAST_BYTES = 16 * 1024;

/** One file of the log, oldest first in `Wal.files`. */
export interface WalFile {
  readonly path: string;
  readonly first: WalPosition;
  /** Bytes of its frames. */
  readonly bytes: number;
  /** Its records that are no entries. */
  readonly others: Pick<FileOthers, "isEmpty" | "records">;
}

/** A file of this log; the last one changes with every append. */
interface GrowingFile extends WalFile {
  bytes: number;
  readonly others: FileOthers;
}

/** A batch that `write` takes. */
export interface PreparedBatch {
  /** Its frame, in memory that threads share, and where in it the entries are: from these bytes everything that follows is computed. */
  readonly bytes: Uint8Array;
  readonly entries: EntryRanges;
  /** Where it stands, and where the one behind it will. */
  readonly from: WalPosition;
  readonly next: WalPosition;
  /** Its records that are no entries. */
  readonly others: readonly WalRecord[];
}

/** What replay hands over, batch by batch, before the log takes new ones. */
export type OnBatch = (batch: WalBatch) => void | Promise<void>;

/** A write-ahead log that is open for appending. One write at a time. */
export class Wal {
  readonly #disk: Disk;
  readonly #options: Required<WalOptions>;
  readonly #salt: bigint;
  #files: GrowingFile[] = [];
  #current: DiskFile | undefined;
  /** Behind the last batch that is durable, and behind the last that was prepared. */
  #next: WalPosition = { batch: 1n, index: 0n };
  #planned: WalPosition = this.#next;
  readonly #spares: WalSpares;
  #failed = false;
  /** What frames are put together in: in memory that threads share V8 moves bytes one by one. */
  #desk: Uint8Array = new Uint8Array(0);
  /** Whether a torn batch stands where the next one goes. */
  #isTorn = false;
  /** Of batches that were written, for the next ones. */
  readonly #memories: Uint8Array[] = [];

  private constructor(disk: Disk, options: WalOptions, salt: bigint, names: readonly string[]) {
    this.#disk = disk;
    this.#options = { ...DEFAULTS, ...options };
    this.#salt = salt;
    this.#spares = new WalSpares(disk, FOLDER, options.fileBytes, names);
  }

  /**
   * Replays every whole batch in order and opens the log behind the last whole one. A torn batch behind it is left as it is until
   * the next one is written over it, or `cutTorn` is called.
   *
   * @throws {StoreError} ERR_WAL_DAMAGE, fatal; what `onBatch` throws
   */
  static async open(disk: Disk, options: WalOptions, onBatch: OnBatch): Promise<Wal> {
    await disk.makeFolder(FOLDER);
    const names = await disk.list(FOLDER);
    const salt = await openSalt(disk, !names.some((name) => NAME.test(name)));
    const wal = new Wal(disk, options, salt, names);
    await wal.#replay(names, onBatch);
    wal.#planned = wal.#next;
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

  /** Writes one batch as `prepare` and `write` do. Resolves to where its entries are in what was written. */
  async append(records: readonly FramePart[]): Promise<EntryRanges> {
    const batch = this.prepare(records);
    await this.write(batch);
    return batch.entries;
  }

  /** Makes the frame of the next batch; those that were made are written in their order. */
  prepare(records: readonly FramePart[]): PreparedBatch {
    const from = this.#planned;
    const content = { batch: from.batch, firstIndex: from.index, records };
    const { bytes: made, entries } = formatFrame(content, this.#salt, FRAME_TYPES.crc32, this.#desk);
    if (made.buffer.byteLength <= KEPT_BYTES) this.#desk = new Uint8Array(made.buffer);
    const bytes = this.#memoryFor(made.length);
    bytes.set(made);
    this.#planned = { batch: from.batch + 1n, index: from.index + BigInt(entries.starts.length) };
    return { bytes, entries: { ...entries, bytes }, from, next: this.#planned, others: othersAmong(records) };
  }

  /** What may be kept has room for the frames behind it, which are of like sizes. */
  #memoryFor(length: number): Uint8Array {
    const memory = this.#memories.pop();
    if (memory !== undefined && memory.length >= length) return memory.subarray(0, length);
    const bytes = length > KEPT_BYTES ? length : Math.max(LEAST_BYTES, 2 ** Math.ceil(Math.log2(length)));
    return new Uint8Array(new SharedArrayBuffer(bytes), 0, length);
  }

  /**
   * Writes a prepared batch and syncs it; durable when it resolves. Nothing is written before the batch in front of it is
   * synced: a whole frame behind a torn one means that acknowledged entries are lost.
   *
   * @throws {StoreError} ERR_STORE_WRITE, fatal: the tail is unknown, and this log takes nothing any more. A second
   *   sync after a failed one may report success for pages that were dropped, so there is none.
   */
  async write({ bytes, from, next, others }: PreparedBatch): Promise<void> {
    if (this.#failed) throw new StoreError("ERR_STORE_WRITE", "the write-ahead log failed before", { fatal: true });
    invariant(from.batch === this.#next.batch, "batches are written in the order in which they were prepared");
    try {
      const file = await this.#fileFor(bytes.length);
      await writeSynced(file, bytes, this.#offset);
    } catch (cause) {
      this.#failed = true;
      throw new StoreError("ERR_STORE_WRITE", "a write or sync of the write-ahead log failed", { cause, fatal: true });
    }
    const file = this.#files.at(-1);
    invariant(file !== undefined, "a batch was written to no file");
    file.bytes += bytes.length;
    file.others.add(others);
    this.#isTorn = false;
    this.#next = next;
    if (this.#isFilled(0.5)) this.#spares.prepare();
  }

  /**
   * Takes a torn batch off the disk. It was never acknowledged, or it was and is damaged: whoever may know more entries than there are
   * must be asked before.
   *
   * @throws {StoreError} ERR_STORE_WRITE, fatal
   */
  async cutTorn(): Promise<void> {
    if (!this.#isTorn || this.#current === undefined) return;
    try {
      await writeSynced(this.#current, new Uint8Array(TORN_HEADER_BYTES), this.#offset);
    } catch (cause) {
      this.#failed = true;
      throw new StoreError("ERR_STORE_WRITE", "a torn batch could not be cut", { cause, fatal: true });
    }
    this.#isTorn = false;
  }

  /** Takes back the memory of a batch that was written and is used by nobody any more: new memory costs more than what is in it. */
  release({ bytes }: PreparedBatch): void {
    if (this.#memories.length >= KEPT_MEMORIES || bytes.buffer.byteLength > KEPT_BYTES) return;
    this.#memories.push(new Uint8Array(bytes.buffer));
  }

  /** Records of a file that are no entries, in their order; the file is no longer written. */
  async readOthers({ path, first, others }: WalFile): Promise<readonly WalRecord[]> {
    if (others.records !== undefined) return others.records;
    const bytes = await this.#disk.read(path);
    invariant(bytes !== undefined, `${path} is gone`);
    return scanWal(path, bytes, first, this.#salt).frames.flatMap(({ frame }) => othersAmong(frame.records));
  }

  /** Gives up `oldestLeft`, whose content is durable elsewhere: it becomes a spare, or is removed. */
  async retireOldest(): Promise<void> {
    const oldest = this.oldestLeft?.file;
    if (oldest === undefined) return;
    this.#files = this.#files.slice(1);
    await this.#spares.give(oldest.path);
    await this.#disk.syncFolder(FOLDER);
  }

  /** Closes the file that is being written. */
  async close(): Promise<void> {
    this.#failed = true;
    await this.#spares.settled();
    await this.#current?.close();
    this.#current = undefined;
  }

  async #replay(names: readonly string[], onBatch: OnBatch): Promise<void> {
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
    const others = new FileOthers();
    for (const { frame } of scan.frames) others.add(othersAmong(frame.records));
    this.#files.push({ path, first: start, bytes: scan.end, others });
    this.#next = scan.next;
    this.#isTorn = isTornBatch(bytes, scan.end, scan.next, this.#salt);
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
    await this.#spares.take(path);
    await this.#disk.syncFolder(FOLDER);
    await this.#current?.close();
    this.#current = await this.#disk.open(path);
    this.#files.push({ path, first: this.#next, bytes: 0, others: new FileOthers() });
    return this.#current;
  }

  /** True if the file that is being written has at least this share of what a file takes. */
  #isFilled(share: number): boolean {
    const { fileBytes, fileEntries } = this.#options;
    const entries = Number(this.#next.index - (this.#files.at(-1)?.first.index ?? 0n));
    return this.#offset >= fileBytes * share || entries >= fileEntries * share;
  }
}

function pathOf(batch: bigint): string {
  return `${FOLDER}/${batch.toString().padStart(16, "0")}.wal`;
}
