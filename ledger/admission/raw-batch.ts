/**
 * Admission of many raw entries at once. Their form is that of an entry bundle, u16 length ‖ entry each: they stay where they were
 * received, and no object is made for one.
 */

import { FormatError } from "../../kernel/errors.ts";
import { HASH_BYTES, hashLeaves, type LeafHash, type LeafHashes, splitLeaves } from "../../kernel/merkle/hash.ts";
import type { LeafRun } from "../promise/promise-desk.ts";
import type { Known } from "../sequence/entry-index.ts";
import {
  type Decision,
  type EntryRun,
  listEntries,
  type PendingEntry,
  type Proposal,
  type Sequencer,
} from "../sequence/proposal.ts";

/** Most entries of one batch. */
export const MAX_BATCH_ENTRIES = 1024;
/** Longest body of a batch. */
export const MAX_BATCH_BYTES: number = 4 * 1024 * 1024;

const LENGTH_BYTES = 2;

/** Where the entries of a batch are. New ones have indexes that follow each other. */
export interface PlacedBatch {
  readonly count: number;
  /** Index of the first new one; where the log ended if none is. */
  readonly firstIndex: bigint;
  /** Those that the log had before, or that stand twice in the batch: place in the batch, and index. */
  readonly known: readonly (readonly [place: number, index: bigint])[];
}

/**
 * Reads a batch; hashes its entries. Nobody may write to `body` any more.
 *
 * @throws {FormatError} ERR_ENTRY_LENGTH, ERR_BUNDLE_LENGTH unless it is 1 to 1,024 entries of 1 to 65,535 bytes
 */
export function parseRawBatch(body: Uint8Array): EntryRun {
  const count = countEntries(body);
  const entries = { bytes: body, starts: new Uint32Array(count), ends: new Uint32Array(count) };
  for (let [i, at] = [0, 0]; i < count; i += 1) {
    const start = at + LENGTH_BYTES;
    at = start + lengthAt(body, at);
    [entries.starts[i], entries.ends[i]] = [start, at];
  }
  return { ...entries, leaves: hashLeaves(entries) };
}

/**
 * Appends a batch; resolves once all of it is durable. Equal entries are the same entry.
 *
 * @throws {StoreError} ERR_QUEUE_FULL, ERR_LEDGER_STOPPED
 */
export function appendRawBatch(sequencer: Sequencer, run: EntryRun): Promise<PlacedBatch> {
  return sequencer.submit(proposeRawBatch(run));
}

/** The leaves of a batch, where they are in the log: consecutive ones together. */
export function leafRunsOf({ leaves }: EntryRun, { firstIndex, known }: PlacedBatch): readonly LeafRun[] {
  const runs: { firstIndex: bigint; leaves: LeafHash[] }[] = [];
  const places = new Map(known);
  let next = firstIndex;
  for (const [place, leaf] of splitLeaves(leaves).entries()) {
    const index = places.get(place) ?? next;
    if (!places.has(place)) next += 1n;
    const run = runs.at(-1);
    if (run !== undefined && run.firstIndex + BigInt(run.leaves.length) === index) run.leaves.push(leaf);
    else runs.push({ firstIndex: index, leaves: [leaf] });
  }
  return runs;
}

/** What `appendRawBatch` submits. */
export function proposeRawBatch(run: EntryRun): Proposal<PlacedBatch> {
  const hasRepeats = repeats(run.leaves);
  return {
    entries: run,
    decide: (known, next) =>
      hasRepeats || isAnyKnown(run.leaves, known) ? decideSome(run, known, next) : all(run, next),
  };
}

/** @throws {FormatError} */
function countEntries(body: Uint8Array): number {
  let count = 0;
  for (let at = 0; at < body.length; count += 1) {
    const length = at + LENGTH_BYTES > body.length ? 0 : lengthAt(body, at);
    if (length === 0) throw new FormatError("ERR_ENTRY_LENGTH", `entry ${count} of the batch has no bytes`);
    at += LENGTH_BYTES + length;
    if (at > body.length) throw new FormatError("ERR_BUNDLE_LENGTH", `the batch ends in entry ${count}`);
  }
  if (count >= 1 && count <= MAX_BATCH_ENTRIES) return count;
  throw new FormatError("ERR_BUNDLE_LENGTH", `want 1 to ${MAX_BATCH_ENTRIES} entries, got ${count}`);
}

function lengthAt(body: Uint8Array, at: number): number {
  return ((body[at] ?? 0) << 8) | (body[at + 1] ?? 0);
}

/** True if the log has one of these leaves. */
export function isAnyKnown(leaves: LeafHashes, known: Known): boolean {
  for (let i = 0; i * HASH_BYTES < leaves.length; i += 1) if (known(leaves, i) !== undefined) return true;
  return false;
}

function all(run: EntryRun, next: bigint): Decision<PlacedBatch> {
  const placed = { count: run.starts.length, firstIndex: next, known: [] };
  return { entries: run, settle: () => placed };
}

function decideSome(run: EntryRun, known: Known, next: bigint): Decision<PlacedBatch> {
  const fresh: PendingEntry[] = [];
  const here = new Map<string, bigint>();
  const old: (readonly [number, bigint])[] = [];
  for (const [place, entry] of listEntries(run).entries()) {
    const key = Buffer.from(entry.leaf).toString("latin1");
    const index = known(entry.leaf) ?? here.get(key);
    if (index !== undefined) {
      old.push([place, index]);
      continue;
    }
    here.set(key, next + BigInt(fresh.length));
    fresh.push(entry);
  }
  const placed = { count: run.starts.length, firstIndex: next, known: old };
  return { entries: fresh, settle: () => placed };
}

/** True if two leaves are equal. A table of their numbers by their first bytes: what falls together is compared. */
function repeats(leaves: LeafHashes): boolean {
  const count = leaves.length / HASH_BYTES;
  const slots = new Uint16Array(SLOTS);
  for (let i = 0; i < count; i += 1) {
    const at = i * HASH_BYTES;
    let slot = ((leaves[at] ?? 0) << 4) | ((leaves[at + 1] ?? 0) >>> 4);
    for (; slots[slot] !== 0; slot = (slot + 1) % SLOTS) {
      if (isSame(leaves, at, ((slots[slot] ?? 1) - 1) * HASH_BYTES)) return true;
    }
    slots[slot] = i + 1;
  }
  return false;
}

const SLOTS = 4 * MAX_BATCH_ENTRIES;

function isSame(leaves: LeafHashes, at: number, other: number): boolean {
  for (let i = 0; i < HASH_BYTES; i += 1) if (leaves[at + i] !== leaves[other + i]) return false;
  return true;
}
