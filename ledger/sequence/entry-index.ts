/**
 * Which leaf hashes the log holds: a window in memory of what the index has not taken yet, then the index. The window
 * changes inside the sequencer's turn, so that two equal entries can never both be new.
 */

import { StoreError } from "../../kernel/errors.ts";
import type { LeafHash } from "../../kernel/merkle/hash.ts";
import type { IndexRow, IndexStore } from "./index-store.ts";
import { type FilterPart, LeafFilter } from "./leaf-filter.ts";
import { LeafWindow } from "./leaf-window.ts";

/** Entries that may wait for the index before admission has to wait too. */
const MAX_LAG = 262_144;
/** Entries of one write to the index. */
const GROUP_ENTRIES = 16_384;

/** What one durable batch adds to the index. */
export interface IndexedBatch {
  readonly leaves: readonly { readonly leaf: LeafHash; readonly index: bigint }[];
  readonly rows: readonly IndexRow[];
  /** Size of the log after the batch. */
  readonly size: bigint;
  /** True for what a start read again: a leaf that the index has already keeps its row, which is of an earlier entry. */
  readonly isRecovered?: boolean;
}

/** Looks up one of the leaves that were asked for; sees what was placed meanwhile. */
export type Known = (leaf: LeafHash) => bigint | undefined;

/** What the rest of the ledger asks an index. */
export interface LeafIndex {
  /** Size of the log that the index covers. */
  readonly watermark: bigint;
  /** Looks up all leaves at once. */
  readonly find: (leaves: readonly LeafHash[]) => Promise<Known>;
  /** Resolves when everything that is durable before the call can be looked up. @throws {StoreError} ERR_STORE_WRITE */
  readonly flush: () => Promise<void>;
}

/** Somebody who waits until so many batches are in the index. */
interface Waiter {
  readonly batches: number;
  readonly wake: () => void;
}

/** The window and the index behind it. */
export class EntryIndex implements LeafIndex {
  readonly #store: IndexStore;
  readonly #onFatal: (error: unknown) => void;
  readonly #window = new LeafWindow();
  readonly #filter = new LeafFilter();
  /** True once the filter holds every leaf of the log: only then does it rule anything out. */
  #isFilterWhole = false;
  #queue: IndexedBatch[] = [];
  /** Batches that were queued, and those of them that the index has. */
  #recorded = 0;
  #written = 0;
  /** In the order of the batches that they wait for. */
  #waiting: readonly Waiter[] = [];
  #writing: Promise<void> | undefined;
  #failed = false;
  #watermark: bigint;

  constructor(store: IndexStore, onFatal: (error: unknown) => void) {
    this.#store = store;
    this.#onFatal = onFatal;
    this.#watermark = store.watermark;
  }

  /** False while too many entries wait for the index. */
  get hasRoom(): boolean {
    return this.#window.size < MAX_LAG;
  }

  /** Size of the log that the index covers. */
  get watermark(): bigint {
    return this.#watermark;
  }

  /** Bytes that the filter takes in memory. */
  get filterBytes(): number {
    return this.#filter.bytes;
  }

  /**
   * Takes the filter of the leaves that the log had when it was opened; until then every leaf is looked up. Those that were placed
   * since are in it too.
   */
  takeFilter(part: FilterPart, rest: readonly LeafHash[]): void {
    this.#filter.adopt(part);
    for (const leaf of rest) this.#filter.add(leaf);
    this.#isFilterWhole = true;
  }

  /** Asks the index once for all leaves that are not in the window and that the filter does not rule out. */
  async find(leaves: readonly LeafHash[]): Promise<Known> {
    // What the window answers now is kept: its leaves may move to the index while the others are looked up.
    const answers = new LeafWindow();
    const missing: LeafHash[] = [];
    for (const leaf of leaves) {
      const index = this.#window.get(leaf);
      if (index !== undefined) answers.add(leaf, index);
      else if (!this.#isFilterWhole || this.#filter.mayHold(leaf)) missing.push(leaf);
    }
    const found = missing.length === 0 ? [] : await this.#store.findLeaves(missing);
    for (const [i, leaf] of missing.entries()) {
      const index = found[i];
      if (index !== undefined) answers.add(leaf, index);
    }
    return (leaf) => this.#window.get(leaf) ?? answers.get(leaf);
  }

  /** Takes a new leaf at once; only inside the sequencer's turn. */
  place(leaf: LeafHash, index: bigint): void {
    this.#window.add(leaf, index);
    this.#filter.add(leaf);
  }

  /**
   * Takes a leaf that a start read again; nothing else is placed meanwhile.
   *
   * @returns false if an earlier entry that was placed has it
   */
  placeRecovered(leaf: LeafHash, index: bigint): boolean {
    const { size } = this.#window;
    this.place(leaf, index);
    return this.#window.size > size;
  }

  /**
   * Queues what is now durable in the log; its leaves stay in the window until the index has them. After a failed write
   * nothing more is written: a watermark above the lost rows would hide them from the next start.
   */
  record(batch: IndexedBatch): void {
    this.#queue.push(batch);
    this.#recorded += 1;
    if (this.#writing !== undefined || this.#failed) return;
    this.#writing = this.#writeAll();
    this.#writing.catch(this.#onFatal);
  }

  /**
   * Resolves when everything that was recorded before the call is in the index; what comes meanwhile is not waited for.
   *
   * @throws {StoreError} ERR_STORE_WRITE after a failed write
   */
  async flush(): Promise<void> {
    const batches = this.#recorded;
    if (this.#written < batches && !this.#failed) {
      await new Promise<void>((wake) => {
        this.#waiting = [...this.#waiting, { batches, wake }];
      });
    }
    if (this.#failed) throw new StoreError("ERR_STORE_WRITE", "the index could not be written", { fatal: true });
  }

  async #writeAll(): Promise<void> {
    try {
      for (let group = this.#takeGroup(); group.length > 0; group = this.#takeGroup()) await this.#writeGroup(group);
      // In the same step as the last look at the queue: a batch that comes now finds no writer and starts one.
      this.#writing = undefined;
    } catch (cause) {
      this.#failed = true;
      this.#writing = undefined;
      this.#wake(Number.POSITIVE_INFINITY);
      throw new StoreError("ERR_STORE_WRITE", "the index could not be written", { cause, fatal: true });
    }
  }

  async #writeGroup(group: readonly IndexedBatch[]): Promise<void> {
    const watermark = group.at(-1)?.size ?? this.#watermark;
    const isAgain = group.some(({ isRecovered }) => isRecovered);
    const leaves = isAgain ? await this.#leavesToWrite(group) : group.flatMap((batch) => batch.leaves);
    await this.#store.write({ leaves, rows: group.flatMap((batch) => batch.rows), watermark });
    for (const batch of group) for (const { leaf } of batch.leaves) this.#window.delete(leaf);
    this.#watermark = watermark;
    this.#written += group.length;
    this.#wake(this.#written);
  }

  /** The index is asked only about what was read again: what was admitted in this run is known to be new. */
  async #leavesToWrite(group: readonly IndexedBatch[]): Promise<IndexedBatch["leaves"]> {
    const leaves = group.flatMap((batch) => batch.leaves);
    const again = group.flatMap((batch) => (batch.isRecovered === true ? batch.leaves : []));
    const found = await this.#store.findLeaves(again.map(({ leaf }) => leaf));
    const older = new Set(again.filter(({ index }, i) => (found[i] ?? index) < index));
    return leaves.filter((each) => !older.has(each));
  }

  /** Lets those go who wait for at most `batches`. */
  #wake(batches: number): void {
    const due = this.#waiting.filter((waiter) => waiter.batches <= batches);
    this.#waiting = this.#waiting.slice(due.length);
    for (const { wake } of due) wake();
  }

  #takeGroup(): readonly IndexedBatch[] {
    let entries = 0;
    const count = this.#queue.findIndex((batch) => {
      entries += batch.leaves.length;
      return entries > GROUP_ENTRIES;
    });
    return this.#queue.splice(0, count === -1 ? this.#queue.length : Math.max(1, count));
  }
}
