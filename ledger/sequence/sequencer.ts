/**
 * The one place where entries get their index.
 *
 * Proposals queue; whenever no batch is in flight, all that wait form the next one (group commit without a timer). A
 * batch is one turn: look up which leaves are known, decide each proposal in order, write and sync the batch, append to
 * the tree what was written, answer. Nothing is acknowledged or refused before the sync. Any failure of a write is fatal:
 * the state in memory may then be ahead of the disk, and only a restart may decide.
 */

import { invariant, StoreError } from "../../kernel/errors.ts";
import { isLeafOf, type LeafHash } from "../../kernel/merkle/hash.ts";
import type { WalRecord } from "../storage/wal-frame.ts";
import type { EntryIndex, Known } from "./entry-index.ts";
import type { IndexRow } from "./index-store.ts";
import type { Decision, Flush, PendingEntry, Proposal, Sequencer } from "./proposal.ts";
import { ProposalQueue, type SequencerLimits, type Waiting } from "./proposal-queue.ts";

/** Makes batches durable: the write-ahead log. */
export interface BatchLog {
  /** Resolves to the records as written, once they are synced. */
  readonly append: (records: readonly WalRecord[]) => Promise<readonly WalRecord[]>;
}

/** Takes what is durable. */
export interface EntrySink {
  readonly size: bigint;
  readonly append: (entry: Uint8Array, leaf: LeafHash) => void;
}

/** What the sequencer works with. */
export interface SequencerParts {
  readonly log: BatchLog;
  readonly tree: EntrySink;
  readonly index: EntryIndex;
  readonly limits: SequencerLimits;
  /** Resolves when the background writers have room for another batch. */
  readonly waitForRoom: () => Promise<void>;
  /** Told once of the failure after which nothing is admitted any more. */
  readonly onFatal: (error: unknown) => void;
  /** Told of every durable batch. */
  readonly onBatch?: (batch: { readonly entries: number; readonly durationMs: number }) => void;
  readonly nowMs: () => number;
}

interface Decided {
  readonly decision: Decision<void>;
  readonly reject: (error: unknown) => void;
}

/** What the decisions of a turn write. */
interface Writes {
  readonly entries: readonly PendingEntry[];
  readonly records: readonly WalRecord[];
  readonly rows: readonly IndexRow[];
}

/** The sequencer of one process that has the log for itself. */
export class GroupSequencer implements Sequencer {
  readonly #parts: SequencerParts;
  /** Each answers whoever waits for it when it is settled. */
  readonly #queue: ProposalQueue<void>;
  #running: Promise<void> | undefined;
  #stopped: StoreError | undefined;

  constructor(parts: SequencerParts) {
    this.#parts = parts;
    this.#queue = new ProposalQueue(parts.limits);
  }

  /** Entries that wait for a turn. */
  get queuedEntries(): number {
    return this.#queue.entries;
  }

  /**
   * Queues a proposal; resolves to its answer once that is durable.
   *
   * @throws {StoreError} ERR_QUEUE_FULL (try again later), ERR_LEDGER_STOPPED; and what `decide` and `settle` throw
   */
  submit<A>(proposal: Proposal<A>): Promise<A> {
    return new Promise<A>((resolve, reject) => {
      if (this.#stopped !== undefined) throw this.#stopped;
      this.#queue.add(answering(proposal, resolve), reject);
      this.#running ??= this.#run();
    });
  }

  /** Refuses new proposals, and those that wait if `error` is given; resolves when no turn is running. */
  async stop(error?: unknown): Promise<void> {
    this.#stopped ??= new StoreError("ERR_LEDGER_STOPPED", "the ledger admits nothing any more", { cause: error });
    if (error !== undefined) this.#queue.refuseAll(this.#stopped);
    await this.#running;
  }

  /** The first turn starts in the next microtask, so that what arrived together shares a sync. */
  async #run(): Promise<void> {
    try {
      for (;;) {
        await this.#parts.waitForRoom();
        const batch = this.#queue.take();
        if (batch.length === 0) break;
        await this.#turn(batch);
      }
    } catch (error) {
      this.#parts.onFatal(error);
      this.#stopped ??= new StoreError("ERR_LEDGER_STOPPED", "the ledger stopped after a fault", { cause: error });
      this.#queue.refuseAll(this.#stopped);
    }
    this.#running = undefined;
  }

  async #turn(batch: readonly Waiting<void>[]): Promise<void> {
    const started = this.#parts.nowMs();
    try {
      const known = await this.#parts.index.find(leavesOf(batch));
      const decided = this.#decideAll(batch, known);
      const writes = gather(decided);
      const flush = { firstIndex: this.#parts.tree.size, entries: writes.entries };
      await this.#makeDurable(writes);
      for (const { decision, reject } of decided) settle(decision, flush, reject);
      this.#parts.onBatch?.({ entries: flush.entries.length, durationMs: this.#parts.nowMs() - started });
    } catch (error) {
      for (const { reject } of batch) {
        reject(new StoreError("ERR_LEDGER_STOPPED", "the ledger stopped after a fault", { cause: error }));
      }
      throw error;
    }
  }

  /** A proposal that refuses itself without leaving anything behind is answered at once. */
  #decideAll(batch: readonly Waiting<void>[], known: Known): readonly Decided[] {
    let next = this.#parts.tree.size;
    const decided: Decided[] = [];
    for (const queued of batch) {
      try {
        const decision = queued.proposal.decide(known, next);
        for (const { leaf } of decision.entries) {
          this.#parts.index.place(leaf);
          next += 1n;
        }
        decided.push({ decision, reject: queued.reject });
      } catch (error) {
        queued.reject(error);
      }
    }
    return decided;
  }

  async #makeDurable({ records, entries, rows }: Writes): Promise<void> {
    if (records.length === 0) return;
    const written = await this.#parts.log.append(records);
    this.#integrate(written, entries);
    this.#parts.index.record({ rows, size: this.#parts.tree.size });
  }

  /** Appends to the tree what was written, hashed again from those bytes. */
  #integrate(written: readonly WalRecord[], entries: readonly PendingEntry[]): void {
    const { tree } = this.#parts;
    let count = 0;
    for (const { kind, bytes } of written) {
      if (kind !== "entry") continue;
      const leaf = entries[count]?.leaf;
      invariant(leaf !== undefined && isLeafOf(leaf, bytes), "the bytes written are not the bytes admitted");
      tree.append(bytes, leaf);
      count += 1;
    }
    invariant(count === entries.length, "the log wrote another number of entries");
  }
}

/** By loops: there are thousands of entries in a turn. Of rows with one key only the last is written. */
function gather(decided: readonly Decided[]): Writes {
  const entries: PendingEntry[] = [];
  const records: WalRecord[] = [];
  const rows = new Map<string, IndexRow>();
  for (const { decision } of decided) {
    for (const record of decision.beside ?? []) records.push(record);
    for (const row of decision.rows ?? []) rows.set(row.key, row);
    for (const entry of decision.entries) {
      entries.push(entry);
      records.push({ kind: "entry", bytes: entry.bytes });
    }
  }
  return { entries, records, rows: [...rows.values()] };
}

function leavesOf(batch: readonly Waiting<void>[]): readonly LeafHash[] {
  const leaves: LeafHash[] = [];
  for (const { proposal } of batch) for (const { leaf } of proposal.entries) leaves.push(leaf);
  return leaves;
}

function answering<A>(proposal: Proposal<A>, resolve: (answer: A) => void): Proposal<void> {
  const decide: Proposal<void>["decide"] = (known, next) => {
    const { entries, beside, rows, settle } = proposal.decide(known, next);
    return {
      entries,
      ...(beside === undefined ? {} : { beside }),
      ...(rows === undefined ? {} : { rows }),
      settle: (flush) => resolve(settle(flush)),
    };
  };
  return { entries: proposal.entries, decide };
}

function settle(decision: Decision<void>, flush: Flush, reject: (error: unknown) => void): void {
  try {
    decision.settle(flush);
  } catch (error) {
    reject(error);
  }
}
