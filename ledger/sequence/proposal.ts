/** What is asked of a sequencer, whatever stores the log: requests to append, and what each decides in its turn. */

import { type EntryRanges, entryAt, type LeafHash, type LeafHashes, leafAt } from "../../kernel/merkle/hash.ts";
import type { WalRecord } from "../storage/wal-frame.ts";
import type { Known } from "./entry-index.ts";
import type { IndexRow } from "./index-store.ts";

/** An entry and its leaf hash. */
export interface PendingEntry {
  readonly bytes: Uint8Array;
  readonly leaf: LeafHash;
}

/** Many entries in one memory, into which nobody writes any more, with their leaf hashes: no object is made for one of them. */
export interface EntryRun extends EntryRanges {
  readonly leaves: LeafHashes;
}

/** New entries of a proposal, in their order. */
export type Entries = readonly PendingEntry[] | EntryRun;

/** True for entries that lie in one memory. */
export function isRun(entries: Entries): entries is EntryRun {
  return "starts" in entries;
}

/** Number of entries. */
export function countOf(entries: Entries): number {
  return isRun(entries) ? entries.starts.length : entries.length;
}

/** Entries one by one, as views. */
export function listEntries(entries: Entries): readonly PendingEntry[] {
  if (!isRun(entries)) return entries;
  return Array.from(entries.starts, (_, i) => ({ bytes: entryAt(entries, i), leaf: leafAt(entries.leaves, i) }));
}

/** What one sync made durable. */
export interface Flush {
  /** Index of its first entry. */
  readonly firstIndex: bigint;
  /** Of its entries, in the order of their indexes; possibly none. */
  readonly leaves: LeafHashes;
}

/** What a proposal decides in its turn. */
export interface Decision<A> {
  /** New entries, in the order of their indexes; no two are equal. */
  readonly entries: Entries;
  /** Records that become durable with them. */
  readonly beside?: readonly WalRecord[];
  /** Rows for the index. */
  readonly rows?: readonly IndexRow[];
  /** Called once everything is durable: changes what readers see and makes the answer. It throws a refusal. */
  readonly settle: (flush: Flush) => A;
}

/** One request to append: entries, and how to decide about them. */
export interface Proposal<A> {
  readonly entries: Entries;
  /**
   * Decides in the turn. It may change the state that later decisions see only if it does not throw.
   *
   * @param known  index of the first entry with a leaf of this proposal
   * @param next   index that its first new entry will get
   * @throws {CheckError} a refusal that leaves nothing behind
   */
  readonly decide: (known: Known, next: bigint) => Decision<A>;
}

/** Gives entries their index, one turn after the other. Every storage driver has one. */
export interface Sequencer {
  /** Entries that wait for a turn. */
  readonly queuedEntries: number;
  /**
   * Queues a proposal; resolves to its answer once that is durable.
   *
   * @throws {StoreError} ERR_QUEUE_FULL (try again later), ERR_LEDGER_STOPPED; and what `decide` and `settle` throw
   */
  readonly submit: <A>(proposal: Proposal<A>) => Promise<A>;
}
