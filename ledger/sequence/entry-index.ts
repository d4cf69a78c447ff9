/**
 * Which leaf hashes the log holds: the newest in memory, the others in the leaf store; and the rows of the admission on their way
 * to the index. A leaf is known from inside the sequencer's turn on, so that two equal entries can never both be new.
 */

import { invariant, StoreError } from "../../kernel/errors.ts";
import { HASH_BYTES, type LeafHash, type LeafHashes, parseLeafHash } from "../../kernel/merkle/hash.ts";
import type { LeafStore } from "../leaves/leaf-store.ts";
import type { IndexRow, IndexStore } from "./index-store.ts";
import { LeafFilter } from "./leaf-filter.ts";
import { LeafWindow } from "./leaf-window.ts";
import { RecentLeaves } from "./recent-leaves.ts";

/** Runs of leaves that may wait for the leaf store before admission has to wait too. */
const MAX_RUNS = 4;
/** Rows of one write to the index: to hand over one costs the serving thread a microsecond, and nothing comes between. */
const GROUP_ROWS = 1024;

const NO_ANSWERS = new LeafWindow();

/** What one durable batch adds to the index. */
export interface IndexedBatch {
  readonly rows: readonly IndexRow[];
  /** Size of the log after the batch. */
  readonly size: bigint;
}

/** Looks up one of the leaves that were asked for, the i-th (default 0) of some; sees what was placed meanwhile. */
export type Known = (leaves: LeafHash | LeafHashes, i?: number) => bigint | undefined;

/** What the rest of the ledger asks an index. */
export interface LeafIndex {
  /** Size of the log that the rows of the index cover. */
  readonly watermark: bigint;
  /** Looks up all leaves at once. */
  readonly find: (leaves: readonly LeafHash[]) => Promise<Known>;
  /** Resolves when the rows of everything that is durable before the call can be read. @throws {StoreError} ERR_STORE_WRITE */
  readonly flush: () => Promise<void>;
}

/** Somebody who waits until so many batches are in the index. */
interface Waiter {
  readonly batches: number;
  readonly wake: () => void;
}

/** The leaves in memory, and what is behind them. */
export class EntryIndex implements LeafIndex {
  readonly #store: IndexStore;
  readonly #leaves: LeafStore;
  readonly #onFatal: (error: unknown) => void;
  /** Oldest first, without gaps, from where the leaf store ends; only the last one is not full. */
  #runs: RecentLeaves[];
  /** Runs that were handed to the leaf store, and the end of it. */
  #handedOver = 0;
  #storing: Promise<void> = Promise.resolve();
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

  /** @param leaves  bound to the log; what the log has beyond it is placed next */
  constructor(store: IndexStore, leaves: LeafStore, onFatal: (error: unknown) => void) {
    [this.#store, this.#leaves, this.#onFatal] = [store, leaves, onFatal];
    this.#watermark = store.watermark;
    this.#runs = [new RecentLeaves(leaves.size, leaves.runEntries)];
  }

  /** False while too many leaves wait for the leaf store. */
  get hasRoom(): boolean {
    return this.#runs.length <= MAX_RUNS;
  }

  /** Size of the log that the rows of the index cover. */
  get watermark(): bigint {
    return this.#watermark;
  }

  /** Number of leaves that were placed, with those of the leaf store. */
  get size(): number {
    return this.#newest.end;
  }

  /** Bytes that the filter takes in memory. */
  get filterBytes(): number {
    return this.#filter.bytes;
  }

  /**
   * Takes the filter of the leaf store's leaves; until then every leaf is looked up there. Those that were placed are in the filter
   * already. Call it once. Where it rejects, look-ups go on taking longer, and nothing else.
   */
  async readFilter(): Promise<void> {
    if (this.#leaves.size > 0) this.#filter.adopt(await this.#leaves.filter());
    this.#isFilterWhole = true;
  }

  /** Asks the leaf store once for all leaves that are not in memory and that the filter does not rule out. */
  async find(leaves: readonly (LeafHash | LeafHashes)[]): Promise<Known> {
    // One look at the filter for each leaf: it is larger than the processor's caches.
    const [since, suspects] = [this.size, this.#suspectsOf(leaves)];
    const answers = suspects.length === 0 ? NO_ANSWERS : await this.#findAll(suspects);
    // What was not there then can only have been placed since.
    return (some, i = 0) => answers.find(some, i) ?? this.#findSince(since, some, i * HASH_BYTES);
  }

  async #findAll(suspects: readonly LeafHash[]): Promise<LeafWindow> {
    // What the runs answer now is kept: they may move to the store while others are looked up.
    const answers = new LeafWindow();
    const missing: LeafHash[] = [];
    for (const leaf of suspects) {
      const index = this.#findSince(0, leaf, 0);
      if (index === undefined) missing.push(leaf);
      else answers.add(leaf, index);
    }
    const found = missing.length === 0 ? [] : await this.#leaves.find(missing);
    // An earlier entry is in the store, if there is one: what is placed meanwhile is new.
    for (const [i, leaf] of missing.entries()) {
      const index = found[i];
      if (index !== undefined) answers.add(leaf, BigInt(index));
    }
    return answers;
  }

  /** Takes the leaf of the next entry at once, the i-th of some; only inside the sequencer's turn. */
  place(leaves: LeafHash | LeafHashes, i = 0): void {
    const at = i * HASH_BYTES;
    this.#newest.add(leaves, at);
    this.#filter.add(leaves, at);
    if (this.#newest.isFull) this.#runs.push(new RecentLeaves(this.#newest.end, this.#leaves.runEntries));
  }

  /** Takes the leaves of a tile of the log that a start read again, from where the leaves placed so far end. */
  placeTile(tile: Uint8Array): void {
    for (let at = 0; at < tile.length; at += HASH_BYTES) this.place(parseLeafHash(tile.slice(at, at + HASH_BYTES)));
  }

  /**
   * Hands runs that are full and durable in the log to the leaf store; they stay in memory until it has them.
   *
   * @param size  number of entries that are durable
   */
  storeBelow(size: bigint): void {
    for (;;) {
      const run = this.#runs[this.#handedOver];
      if (run === undefined || !run.isFull || BigInt(run.end) > size || this.#failed) return;
      this.#handedOver += 1;
      this.#storing = this.#storing.then(() => this.#storeRun(run));
      this.#storing.catch(this.#onFatal);
    }
  }

  /** Resolves once the leaf store has what it was handed. @throws {StoreError} ERR_STORE_WRITE */
  async waitForLeaves(): Promise<void> {
    await this.#storing;
  }

  get #newest(): RecentLeaves {
    const newest = this.#runs.at(-1);
    invariant(newest !== undefined, "there is always a run that takes leaves");
    return newest;
  }

  async #storeRun(run: RecentLeaves): Promise<void> {
    try {
      await this.#leaves.add({ first: run.first, leaves: run.bytes });
    } catch (cause) {
      if (cause instanceof StoreError) throw cause;
      throw new StoreError("ERR_STORE_WRITE", "a leaf table could not be written", { cause, fatal: true });
    }
    this.#runs = this.#runs.slice(1);
    this.#handedOver -= 1;
  }

  /** Those that the filter does not rule out, as views. */
  #suspectsOf(leaves: readonly (LeafHash | LeafHashes)[]): readonly LeafHash[] {
    const suspects: LeafHash[] = [];
    for (const some of leaves) {
      for (let at = 0; at < some.length; at += HASH_BYTES) {
        if (this.#mayHold(some, at)) suspects.push(parseLeafHash(some.subarray(at, at + HASH_BYTES)));
      }
    }
    return suspects;
  }

  #mayHold(leaves: LeafHash | LeafHashes, at: number): boolean {
    return !this.#isFilterWhole || this.#filter.mayHold(leaves, at);
  }

  /** Looks in the runs that go beyond an index. */
  #findSince(since: number, leaves: LeafHash | LeafHashes, at: number): bigint | undefined {
    for (const run of this.#runs) {
      const index = run.end > since ? run.find(leaves, at) : undefined;
      if (index !== undefined) return BigInt(index);
    }
    return undefined;
  }

  /**
   * Queues the rows of what is now durable in the log. After a failed write nothing more is written: a watermark above the lost
   * rows would hide them from the next start.
   */
  record(batch: IndexedBatch): void {
    this.storeBelow(batch.size);
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
    await this.#store.write({ rows: group.flatMap((batch) => batch.rows), watermark });
    this.#watermark = watermark;
    this.#written += group.length;
    this.#wake(this.#written);
  }

  /** Lets those go who wait for at most `batches`. */
  #wake(batches: number): void {
    const due = this.#waiting.filter((waiter) => waiter.batches <= batches);
    this.#waiting = this.#waiting.slice(due.length);
    for (const { wake } of due) wake();
  }

  #takeGroup(): readonly IndexedBatch[] {
    let rows = 0;
    const count = this.#queue.findIndex((batch) => {
      rows += batch.rows.length;
      return rows > GROUP_ROWS;
    });
    return this.#queue.splice(0, count === -1 ? this.#queue.length : Math.max(1, count));
  }
}
