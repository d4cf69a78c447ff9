/**
 * The journal of a witness: what it cosigned, in the order in which it became durable. One writer; a batch is whatever
 * came while the batch before was being synced, so many logs share a sync. Order of writes of a batch:
 *
 *     1. the frame, synced        a crash before: a torn end, never answered, cut at the next start
 *     2. the fence, synced        a crash before: the fence is behind, which is what it may be
 *     3. the answers
 *
 * When nothing waits, a seal follows without a sync: a damaged last frame is then damage, not a torn end. A journal that
 * has grown is replaced, atomically, by one frame of what still counts.
 */

import { invariant, StoreError } from "../kernel/errors.ts";
import type { Fence } from "./fence.ts";
import { formatFrame, type JournalPosition, type JournalRecord } from "./journal-frame.ts";
import type { StateFiles } from "./state-files.ts";

/** Name of the journal in the data folder. */
export const JOURNAL_NAME = "witness.journal";

/** A journal is rewritten when it is longer than this and than eight times what it was after the last time. */
const REWRITE_BYTES = 16 * 1024 * 1024;
const REWRITE_FACTOR = 8;
const MAX_BATCH_RECORDS = 4096;

/** What a journal writes to. */
export interface JournalParts {
  readonly files: StateFiles;
  readonly fence?: Fence | undefined;
  /** Length above which the journal may be rewritten; default 16 MiB. */
  readonly rewriteBytes?: number;
  /** Everything that a new journal must begin with. */
  readonly live: () => readonly JournalRecord[];
}

interface Waiting {
  readonly record: JournalRecord;
  readonly resolve: () => void;
  readonly reject: (error: StoreError) => void;
}

/** A journal that is open for appending. */
export class Journal {
  readonly #parts: JournalParts;
  #position: JournalPosition;
  #length: number;
  #lengthWhenNew: number;
  readonly #waiting: Waiting[] = [];
  #writing: Promise<void> = Promise.resolve();
  #isWriting = false;
  #fault: StoreError | undefined;

  /** @param length  bytes of the journal, which ends at `position` */
  constructor(parts: JournalParts, position: JournalPosition, length: number) {
    this.#parts = parts;
    this.#position = position;
    this.#length = length;
    this.#lengthWhenNew = length;
  }

  /**
   * Adds a record; durable when it resolves.
   *
   * @throws {StoreError} ERR_WITNESS_STATE, fatal: the journal on disk is unknown, and takes nothing any more
   */
  append(record: JournalRecord): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ record, resolve, reject });
      if (this.#isWriting) return;
      this.#isWriting = true;
      this.#writing = this.#write();
    });
  }

  /** Waits for what is being written. */
  async close(): Promise<void> {
    await this.#writing;
  }

  async #write(): Promise<void> {
    // Requests of the same turn of the event loop join the first batch.
    await Promise.resolve();
    do {
      const batch = this.#waiting.splice(0, MAX_BATCH_RECORDS);
      await this.#guard(batch, () => this.#writeBatch(batch));
      if (this.#waiting.length === 0) await this.#guard([], () => this.#seal());
    } while (this.#waiting.length > 0);
    // In the same turn as the look at the queue: who comes later begins anew.
    this.#isWriting = false;
  }

  async #guard(batch: readonly Waiting[], write: () => Promise<void>): Promise<void> {
    try {
      if (this.#fault !== undefined) throw this.#fault;
      await write();
      for (const { resolve } of batch) resolve();
    } catch (cause) {
      // The bytes may or may not be on disk: only a restart, which reads them, can tell.
      const message = "the state could not be written durably";
      this.#fault ??= new StoreError("ERR_WITNESS_STATE", message, { cause, fatal: true });
      for (const { reject } of batch) reject(this.#fault);
    }
  }

  async #writeBatch(batch: readonly Waiting[]): Promise<void> {
    await this.#append(
      batch.map(({ record }) => record),
      true,
    );
    await this.#parts.fence?.advance(this.#position);
    const least = this.#parts.rewriteBytes ?? REWRITE_BYTES;
    if (this.#length > Math.max(least, REWRITE_FACTOR * this.#lengthWhenNew)) await this.#rewrite(batch);
  }

  #seal(): Promise<void> {
    return this.#append([], false);
  }

  async #append(records: readonly JournalRecord[], sync: boolean): Promise<void> {
    const { bytes, position } = formatFrame(this.#position, records);
    await this.#parts.files.append(JOURNAL_NAME, bytes, sync);
    this.#position = position;
    this.#length += bytes.length;
  }

  /** What the batch recorded may not be in `live` yet, so it follows: the last record of an origin counts. */
  async #rewrite(batch: readonly Waiting[]): Promise<void> {
    const records = [...this.#parts.live(), ...batch.map(({ record }) => record)];
    const { bytes, position } = formatFrame(this.#position, records);
    await this.#parts.files.replace(JOURNAL_NAME, bytes);
    invariant(position.seq > this.#position.seq, "a journal never goes back");
    [this.#position, this.#length, this.#lengthWhenNew] = [position, bytes.length, bytes.length];
    await this.#parts.fence?.advance(position);
  }
}
