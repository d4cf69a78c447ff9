/**
 * The one place where entries get their index.
 *
 * Proposals queue; whenever no batch is in flight, all that wait form the next one (group commit without a timer). A
 * batch is one turn: look up which leaves are known, decide each proposal in order, write and sync the batch, append to
 * the tree what was written, answer. While a batch is being written, a full one that waits is decided and made ready, so
 * that neither the processor nor the disk waits for the other; it is written, and answered, only once the one in front of
 * it is durable. Nothing is acknowledged or refused before the sync. Any failure of a write is fatal: the state in memory
 * may then be ahead of the disk, and only a restart may decide.
 */

import { invariant, StoreError } from "../../kernel/errors.ts";
import { type EntryRanges, joinLeaves, type LeafHash, type LeafHashes } from "../../kernel/merkle/hash.ts";
import type { PreparedBatch } from "../storage/wal.ts";
import type { FramePart } from "../storage/wal-frame.ts";
import type { EntryIndex, Known } from "./entry-index.ts";
import type { IndexRow } from "./index-store.ts";
import type { LeafCheck } from "./leaf-check.ts";
import { countOf, type Decision, type Entries, type Flush, isRun, type Proposal, type Sequencer } from "./proposal.ts";
import { ProposalQueue, type SequencerLimits, type Waiting } from "./proposal-queue.ts";

/** Makes batches durable: the write-ahead log. */
export interface BatchLog {
  /** Makes the next batch ready to be written. */
  readonly prepare: (records: readonly FramePart[]) => PreparedBatch;
  /** Resolves once it is synced; called in the order of the batches, one at a time. */
  readonly write: (batch: PreparedBatch) => Promise<void>;
  /** Takes back a batch that was written; nobody may look at its bytes any more. */
  readonly release: (batch: PreparedBatch) => void;
}

/** Takes what is durable. */
export interface EntrySink {
  readonly size: bigint;
  readonly appendAll: (entries: EntryRanges, leaves: LeafHashes) => void;
}

/** Bounds what is in memory only. */
export interface Room {
  /** True if `wait` would not take long. */
  readonly isThere: () => boolean;
  /** Resolves when the background writers have room for another batch. */
  readonly wait: () => Promise<void>;
}

/** What the sequencer works with. */
export interface SequencerParts {
  readonly log: BatchLog;
  readonly tree: EntrySink;
  readonly index: EntryIndex;
  /** Holds what is written against what was admitted. */
  readonly checkLeaves: LeafCheck;
  readonly limits: SequencerLimits;
  readonly room: Room;
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
  readonly leaves: LeafHashes;
  readonly records: readonly FramePart[];
  readonly rows: readonly IndexRow[];
}

/** A turn whose proposals are decided. */
interface Turn {
  readonly startedMs: number;
  /** Proposals that were taken, those among them that refused themselves too. */
  readonly proposals: number;
  readonly decided: readonly Decided[];
  readonly flush: Flush;
  readonly rows: readonly IndexRow[];
  /** Undefined if it writes nothing. */
  readonly batch: PreparedBatch | undefined;
}

/** A turn that is on its way to the disk. */
interface WrittenTurn extends Turn {
  /** Resolves once it is durable and its bytes have the leaf hashes that were admitted. */
  readonly written: Promise<void>;
}

/** The sequencer of one process that has the log for itself. */
export class GroupSequencer implements Sequencer {
  readonly #parts: SequencerParts;
  /** Each answers whoever waits for it when it is settled. */
  readonly #queue: ProposalQueue<void>;
  #running: Promise<void> | undefined;
  #stopped: StoreError | undefined;
  /** Those whose proposals were taken and are not answered yet: of two turns at most. */
  #unanswered: readonly Pick<Decided, "reject">[] = [];
  /** Index behind every entry that was decided. */
  #next: bigint;
  #onFull: () => void = () => undefined;

  constructor(parts: SequencerParts) {
    this.#parts = parts;
    this.#queue = new ProposalQueue(parts.limits);
    this.#next = parts.tree.size;
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
      if (this.#queue.isFull) this.#onFull();
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
    let open: WrittenTurn | undefined;
    let started: WrittenTurn | undefined;
    try {
      do {
        const next: Turn | undefined = await (open === undefined ? this.#takeTurn() : this.#takeFullTurn(open));
        await open?.written;
        // Before the other is integrated: the disk works meanwhile.
        started = next === undefined ? undefined : this.#write(next);
        if (open !== undefined) this.#finish(open);
        open = started;
      } while (open !== undefined || !this.#queue.isEmpty);
    } catch (error) {
      // What is being written may become durable; nobody is told that it did. Nothing is closed under it.
      await Promise.allSettled([open?.written, started?.written]);
      this.#fail(error);
    }
    this.#running = undefined;
  }

  #fail(error: unknown): void {
    const stopped = new StoreError("ERR_LEDGER_STOPPED", "the ledger stopped after a fault", { cause: error });
    for (const { reject } of this.#unanswered) reject(stopped);
    this.#unanswered = [];
    this.#parts.onFatal(error);
    this.#stopped ??= stopped;
    this.#queue.refuseAll(this.#stopped);
  }

  /** All that wait, decided; undefined if nothing does. */
  async #takeTurn(): Promise<Turn | undefined> {
    await this.#parts.room.wait();
    return this.#decideNext();
  }

  /** A full turn, if one waits before `open` is written: what is less may still grow. */
  async #takeFullTurn(open: WrittenTurn): Promise<Turn | undefined> {
    if (!this.#queue.isFull) {
      const full = new Promise<void>((resolve) => {
        this.#onFull = resolve;
      });
      await Promise.race([open.written, full]);
      this.#onFull = () => undefined;
    }
    // Room is made of what is in the tree already: who waits for it holds up no answer.
    if (!this.#queue.isFull || !this.#parts.room.isThere()) return undefined;
    return this.#takeTurn();
  }

  async #decideNext(): Promise<Turn | undefined> {
    const batch = this.#queue.take();
    if (batch.length === 0) return undefined;
    this.#unanswered = [...this.#unanswered, ...batch];
    const startedMs = this.#parts.nowMs();
    const known = await this.#parts.index.find(leavesOf(batch));
    const firstIndex = this.#next;
    const decided = this.#decideAll(batch, known);
    const { records, leaves, rows } = gather(decided);
    const prepared = records.length === 0 ? undefined : this.#parts.log.prepare(records);
    return { startedMs, proposals: batch.length, decided, flush: { firstIndex, leaves }, rows, batch: prepared };
  }

  #write(turn: Turn): WrittenTurn {
    const { batch, flush } = turn;
    const written = batch === undefined ? Promise.resolve() : this.#writeBatch(batch, flush.leaves);
    // Whoever waits for it may come later than its failure.
    written.catch(() => undefined);
    return { ...turn, written };
  }

  /** Leaves are computed once more, from the bytes that are written, while the disk works. Settles once both have ended. */
  async #writeBatch(batch: PreparedBatch, leaves: LeafHashes): Promise<void> {
    const writing = this.#parts.log.write(batch);
    const checking = this.#check(leaves, batch.entries);
    await Promise.allSettled([writing, checking]);
    await writing;
    await checking;
  }

  async #check(leaves: LeafHashes, written: EntryRanges): Promise<void> {
    const isSame = await this.#parts.checkLeaves(leaves, written);
    invariant(isSame, "the bytes written are not the bytes admitted");
  }

  /** Integrates and answers what is durable. */
  #finish({ batch, decided, flush, rows, startedMs, proposals }: WrittenTurn): void {
    if (batch !== undefined) {
      this.#integrate(batch.entries, flush, rows);
      this.#parts.log.release(batch);
    }
    this.#unanswered = this.#unanswered.slice(proposals);
    for (const { decision, reject } of decided) settle(decision, flush, reject);
    this.#parts.onBatch?.({
      entries: batch?.entries.starts.length ?? 0,
      durationMs: this.#parts.nowMs() - startedMs,
    });
  }

  /** A proposal that refuses itself without leaving anything behind is answered at once. */
  #decideAll(batch: readonly Waiting<void>[], known: Known): readonly Decided[] {
    const decided: Decided[] = [];
    for (const queued of batch) {
      try {
        const decision = queued.proposal.decide(known, this.#next);
        this.#place(decision.entries);
        decided.push({ decision, reject: queued.reject });
      } catch (error) {
        queued.reject(error);
      }
    }
    return decided;
  }

  #place(entries: Entries): void {
    const { index } = this.#parts;
    if (isRun(entries)) for (let i = 0; i < entries.starts.length; i += 1) index.place(entries.leaves, i);
    else for (const { leaf } of entries) index.place(leaf);
    this.#next += BigInt(countOf(entries));
  }

  /** Appends to the tree what was written. */
  #integrate(written: EntryRanges, { leaves }: Flush, rows: readonly IndexRow[]): void {
    const { tree, index } = this.#parts;
    tree.appendAll(written, leaves);
    index.record({ rows, size: tree.size });
  }
}

/** By loops: there are thousands of entries in a turn. Of rows with one key only the last is written. */
function gather(decided: readonly Decided[]): Writes {
  const leaves: (LeafHash | LeafHashes)[] = [];
  const records: FramePart[] = [];
  const rows = new Map<string, IndexRow>();
  for (const { decision } of decided) {
    for (const record of decision.beside ?? []) records.push(record);
    for (const row of decision.rows ?? []) rows.set(row.key, row);
    addLeaves(leaves, decision.entries);
    if (isRun(decision.entries)) records.push(decision.entries);
    else for (const { bytes } of decision.entries) records.push({ kind: "entry", bytes });
  }
  return { leaves: joinLeaves(leaves), records, rows: [...rows.values()] };
}

function leavesOf(batch: readonly Waiting<void>[]): readonly (LeafHash | LeafHashes)[] {
  const leaves: (LeafHash | LeafHashes)[] = [];
  for (const { proposal } of batch) addLeaves(leaves, proposal.entries);
  return leaves;
}

function addLeaves(leaves: (LeafHash | LeafHashes)[], entries: Entries): void {
  if (isRun(entries)) leaves.push(entries.leaves);
  else for (const { leaf } of entries) leaves.push(leaf);
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
