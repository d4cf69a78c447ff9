/**
 * Sequencing in PostgreSQL, by any number of nodes at once. Each node keeps one transaction in flight; what comes meanwhile
 * forms the next one. A turn is one transaction:
 *
 *     1. lock the sequence row: from here to the commit no other node decides, and none that knows less than the log needs
 *     2. take over what other nodes decided since this node's last turn: registrations and tips of streams
 *     3. look up which leaves are known
 *     4. decide each proposal in order, with the same code that the files driver runs
 *     5. write entries, leaf hashes, rows and records, and move the next index
 *     6. commit; only then answer
 *
 * A turn that fails left nothing behind in the database, or everything if only the answer to the commit was lost. Either way
 * its proposals are refused with a code that says so, and the streams that it decided about are read again before the next.
 */

import { StoreError } from "../../kernel/errors.ts";
import { HASH_BYTES, joinLeaves, type LeafHash } from "../../kernel/merkle/hash.ts";
import type { Known } from "../sequence/entry-index.ts";
import { LeafWindow } from "../sequence/leaf-window.ts";
import {
  countOf,
  type Decision,
  type Flush,
  listEntries,
  type Proposal,
  type Sequencer,
} from "../sequence/proposal.ts";
import { ProposalQueue, type SequencerLimits, type Waiting } from "../sequence/proposal-queue.ts";
import type { Database, Sql } from "./database.ts";
import { wentBack } from "./head-watch.ts";
import { requireRunning } from "./log-halt.ts";
import { LevelFence } from "./log-level.ts";
import { beginTurn, findLeaves, type Turn, writeTurn } from "./sequence-table.ts";
import type { StreamSync } from "./stream-sync.ts";

/** What the sequencer works with. */
export interface TurnSequencerParts {
  readonly database: Database;
  readonly log: bigint;
  readonly limits: SequencerLimits;
  /** Entries that may wait for the integrator before admission is refused. */
  readonly maxBacklog: bigint;
  readonly streams: StreamSync;
  /** Told of every durable turn. */
  readonly onTurn: (turn: { readonly entries: number; readonly durationMs: number; readonly size: bigint }) => void;
  /** Entries that the log is known to have. */
  readonly knownSize: () => bigint;
  /** Told of faults of the database. */
  readonly onFault: (error: unknown) => void;
  readonly nowMs: () => number;
}

interface Decided {
  readonly decision: Decision<() => void>;
  readonly reject: (error: unknown) => void;
}

interface Outcome {
  readonly decided: readonly Decided[];
  readonly refused: readonly (() => void)[];
  readonly flush: Flush;
}

/** The sequencer of one node. */
export class TurnSequencer implements Sequencer {
  readonly #parts: TurnSequencerParts;
  readonly #queue: ProposalQueue<() => void>;
  readonly #level: LevelFence;
  #running: Promise<void> | undefined;
  #stopped: StoreError | undefined;

  constructor(parts: TurnSequencerParts) {
    this.#parts = parts;
    this.#queue = new ProposalQueue(parts.limits);
    this.#level = new LevelFence(parts.log);
  }

  get queuedEntries(): number {
    return this.#queue.entries;
  }

  /**
   * @throws {StoreError} ERR_QUEUE_FULL, ERR_LEDGER_STOPPED; ERR_LOG_BEHIND, ERR_LOG_HALTED, fatal; ERR_DATABASE: nobody may rely on it, and the same entries may be
   *   submitted again
   */
  submit<A>(proposal: Proposal<A>): Promise<A> {
    return new Promise<A>((resolve, reject) => {
      if (this.#stopped !== undefined) throw this.#stopped;
      this.#queue.add(answering(proposal, resolve), reject);
      this.#running ??= this.#run();
    });
  }

  /** Takes over what other nodes decided, in a turn of its own. @throws as `submit` */
  refresh(): Promise<void> {
    return this.submit({ entries: [], decide: () => ({ entries: [], settle: () => undefined }) });
  }

  /** Refuses new proposals, and those that wait if `error` is given; resolves when no turn is running. */
  async stop(error?: unknown): Promise<void> {
    this.#stopped ??= stoppedBy(error);
    if (error !== undefined) this.#queue.refuseAll(this.#stopped);
    await this.#running;
  }

  /** The first turn starts in the next microtask, so that what arrived together shares a transaction. */
  async #run(): Promise<void> {
    await Promise.resolve();
    for (let batch = this.#queue.take(); batch.length > 0; batch = this.#queue.take()) await this.#turn(batch);
    this.#running = undefined;
  }

  /** Never rejects: the next turn finds out whether the database is back. */
  async #turn(batch: readonly Waiting<() => void>[]): Promise<void> {
    const { database, nowMs, onTurn, onFault } = this.#parts;
    const started = nowMs();
    try {
      const { decided, refused, flush } = await database.transaction((sql) => this.#decideIn(sql, batch));
      this.#parts.streams.settle();
      for (const refuse of refused) refuse();
      for (const { decision, reject } of decided) answer(decision, flush, reject);
      const entries = flush.leaves.length / HASH_BYTES;
      onTurn({ entries, durationMs: nowMs() - started, size: flush.firstIndex + BigInt(entries) });
    } catch (error) {
      this.#parts.streams.fail();
      onFault(error);
      for (const { reject } of batch) reject(error);
    }
  }

  async #decideIn(sql: Sql, batch: readonly Waiting<() => void>[]): Promise<Outcome> {
    const { log, streams, knownSize } = this.#parts;
    const turn = await beginTurn(sql, log);
    await requireRunning(sql, log, turn.level);
    // Nobody else moves it now: a smaller one is that of another database, or of an older copy.
    if (turn.next < knownSize()) throw wentBack(`the next index went back from ${knownSize()} to ${turn.next}`);
    await streams.takeOver(sql, turn.turn);
    const window = await this.#lookUp(sql, batch);
    const { decided, refused } = this.#decideAll(batch, window, turn);
    const decisions = decided.map(({ decision }) => decision);
    const writes = {
      entries: decisions.flatMap(({ entries }) => listEntries(entries)),
      rows: decisions.flatMap(({ rows }) => rows ?? []),
      beside: decisions.flatMap(({ beside }) => beside ?? []),
    };
    await this.#level.keep(sql, turn.level, writes.rows);
    await writeTurn(sql, log, turn, { ...writes, beside: streams.noteDecided(writes.rows, writes.beside) });
    const leaves = joinLeaves(writes.entries.map(({ leaf }) => leaf));
    return { decided, refused, flush: { firstIndex: turn.next, leaves } };
  }

  async #lookUp(sql: Sql, batch: readonly Waiting<() => void>[]): Promise<LeafWindow> {
    const window = new LeafWindow();
    const leaves: LeafHash[] = [];
    for (const { proposal } of batch) for (const { leaf } of listEntries(proposal.entries)) leaves.push(leaf);
    for (const { leaf, index } of await findLeaves(sql, this.#parts.log, leaves)) window.add(leaf, index);
    return window;
  }

  #decideAll(
    batch: readonly Waiting<() => void>[],
    window: LeafWindow,
    { next: first, integrated }: Turn,
  ): { readonly decided: readonly Decided[]; readonly refused: readonly (() => void)[] } {
    const known: Known = (leaves, i) => window.find(leaves, i);
    const decided: Decided[] = [];
    const refused: (() => void)[] = [];
    let next = first;
    for (const { proposal, reject } of batch) {
      try {
        if (countOf(proposal.entries) > 0) this.#requireRoom(next - integrated);
        const decision = proposal.decide(known, next);
        for (const { leaf } of listEntries(decision.entries)) {
          window.add(leaf, next);
          next += 1n;
        }
        decided.push({ decision, reject });
      } catch (error) {
        refused.push(() => reject(error));
      }
    }
    return { decided, refused };
  }

  #requireRoom(backlog: bigint): void {
    if (backlog < this.#parts.maxBacklog) return;
    throw new StoreError("ERR_QUEUE_FULL", `${backlog} entries wait for the integrator`);
  }
}

/** A halt of the whole log says so to whoever submits; what else stops a node is for its operator. */
function stoppedBy(error: unknown): StoreError {
  if (error instanceof StoreError && error.code === "ERR_LOG_HALTED") return error;
  return new StoreError("ERR_LEDGER_STOPPED", "the node admits nothing any more", { cause: error });
}

/** A refusal of `settle` is an answer too. */
function answer(decision: Decision<() => void>, flush: Flush, reject: (error: unknown) => void): void {
  try {
    decision.settle(flush)();
  } catch (error) {
    reject(error);
  }
}

/** The answer is made where it is settled and given where nothing can fail any more. */
function answering<A>(proposal: Proposal<A>, resolve: (answer: A) => void): Proposal<() => void> {
  const decide = (known: Known, next: bigint): ReturnType<Proposal<() => void>["decide"]> => {
    const { settle, ...decision } = proposal.decide(known, next);
    const answer = (flush: Flush): (() => void) => {
      const made = settle(flush);
      return () => resolve(made);
    };
    return { ...decision, settle: answer };
  };
  return { entries: proposal.entries, decide };
}
