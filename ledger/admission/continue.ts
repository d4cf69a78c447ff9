/**
 * Admission of many receipts at once, where they go on right where their stream ends: segments by their signature and the places
 * that their receipts claim, runs of single receipts because each was read. Neither is looked at receipt by receipt in the
 * sequencer's turn; what does not go on there stands apart, and is admitted receipt by receipt (admit.ts). The receipts of a segment
 * are read in the background (ledger/checks/), all but the one that opens the stream.
 */

import { isHexOf, parseHex } from "../../kernel/hex.ts";
import { HASH_BYTES, leafAt } from "../../kernel/merkle/hash.ts";
import type { StreamState } from "../../kernel/stream/stream-state.ts";
import { segmentRow } from "../checks/check-rows.ts";
import type { Known } from "../sequence/entry-index.ts";
import { countOf, type Decision, type EntryRun } from "../sequence/proposal.ts";
import { type AdmitParts, type Admitted, admit, hasEnded } from "./admit.ts";
import { type ClaimedSegment, type ReadingDesk, type ReceiptRun, readMembers } from "./candidates.ts";
import { isAnyKnown } from "./raw-batch.ts";
import type { StreamAccount } from "./stream-account.ts";
import { receiptRows } from "./stream-book.ts";

/** What became of receipts that were to continue their stream: `apart` if they do not, or hold what the log has already. */
export type Continued = { readonly kind: "admitted"; readonly admitted: Admitted } | { readonly kind: "apart" };

/** Receipts that are to continue a stream, as a whole. */
interface Continuation {
  readonly account: StreamAccount;
  readonly entries: EntryRun;
  readonly firstSeq: number;
  /** What the first names as the hash before it, in hexadecimal. */
  readonly prev: string | undefined;
  /** Hash of the last. */
  readonly last: Uint8Array;
  readonly closes: boolean;
  /** The state that the first opens. */
  readonly opens?: StreamState | undefined;
}

/** What goes with a continuation: made once it is decided, called once it is durable. */
type Beside = (next: bigint) => Pick<Decision<void>, "beside" | "rows"> & { readonly onSettled: () => void };

const NOTHING_BESIDE: Beside = () => ({ onSettled: () => undefined });

/**
 * Admits a segment; resolves once it is durable.
 *
 * @throws as `continueStream`; if it does not continue its stream, as `readMembers` and `admit`
 */
export async function admitSegment(parts: AdmitParts, desk: ReadingDesk, claimed: ClaimedSegment): Promise<Admitted> {
  return finishSegment(parts, desk, claimed, await continueStream(parts, claimed));
}

/** The second half of `admitSegment`: reads a segment that stands apart, and admits it as far as it is new. */
export async function finishSegment(
  parts: AdmitParts,
  desk: ReadingDesk,
  claimed: ClaimedSegment,
  outcome: Continued,
): Promise<Admitted> {
  if (outcome.kind === "admitted") return outcome.admitted;
  return admit(parts, await readMembers(desk, claimed));
}

/**
 * Admits a segment if it begins right at the stream's tip, or opens the stream; resolves once it is durable. One of a stream
 * that brought in a false receipt before stands apart.
 *
 * @throws {StoreError} ERR_CHECK_BACKLOG, ERR_QUEUE_FULL, ERR_LEDGER_STOPPED
 */
export function continueStream(parts: AdmitParts, claimed: ClaimedSegment): Promise<Continued> {
  const { account, entries, segment, envelope, closes, opens } = claimed;
  const { checks } = parts;
  if (checks === undefined || checks.distrusts(segment.stream)) return Promise.resolve({ kind: "apart" });
  checks.requireRoom();
  const last = parseHex(segment.last, HASH_BYTES);
  const continuation = { account, entries, firstSeq: segment.first_seq, prev: segment.prev, last, closes, opens };
  return submit(parts, continuation, (next) => {
    checks.expect({ firstIndex: next, count: countOf(entries), bytes: bytesOf(entries) });
    return {
      beside: [{ kind: "segment", bytes: envelope }],
      rows: [segmentRow(next, envelope)],
      onSettled: () => checks.wake(),
    };
  });
}

/**
 * Admits a run of receipts if it begins right at the stream's tip; resolves once it is durable.
 *
 * @throws {StoreError} ERR_QUEUE_FULL, ERR_LEDGER_STOPPED
 */
export function continueWithRun(parts: AdmitParts, { account, entries, read }: ReceiptRun): Promise<Continued> {
  const { first, hashes, closes } = read;
  // A copy: it stays as long as the stream's tip does.
  const last = hashes.slice(-HASH_BYTES);
  return submit(parts, { account, entries, firstSeq: first.seq, prev: first.prev, last, closes }, NOTHING_BESIDE);
}

function submit(parts: AdmitParts, continuation: Continuation, beside: Beside): Promise<Continued> {
  return parts.sequencer.submit<Continued>({
    entries: continuation.entries,
    decide: (known, next) => {
      const before = stateBefore(continuation);
      const isApart = hasEnded(parts, continuation) || before === undefined || isAnyKnownOf(continuation, known);
      return isApart ? APART : decideNext(continuation, before, beside, next);
    },
  });
}

const APART: Decision<Continued> = { entries: [], settle: () => ({ kind: "apart" }) };

/** Equal bytes have one seq, so that receipts which have each their own hold none twice. */
function isAnyKnownOf({ entries }: Continuation, known: Known): boolean {
  return isAnyKnown(entries.leaves, known);
}

function decideNext(
  { account, entries, firstSeq, last, closes }: Continuation,
  before: StreamState,
  besideOf: Beside,
  next: bigint,
): Decision<Continued> {
  const count = countOf(entries);
  const state = { ...before, nextSeq: firstSeq + count, last, closed: closes };
  account.decide(state);
  const { beside = [], rows = [], onSettled } = besideOf(next);
  return {
    entries,
    beside,
    rows: [...receiptRows(account, state, firstSeq, next), ...rows],
    settle: (flush) => {
      account.show(state);
      onSettled();
      const runs = [{ firstIndex: next, leaves: entries.leaves }];
      const leaf = leafAt(entries.leaves, 0);
      return { kind: "admitted", admitted: { firstIndex: next, leaf, count, runs, flush, tip: account.tip() } };
    },
  };
}

/** Of the entries themselves. */
function bytesOf({ starts, ends }: EntryRun): number {
  let total = 0;
  for (let i = 0; i < starts.length; i += 1) total += (ends[i] ?? 0) - (starts[i] ?? 0);
  return total;
}

/** The state that they continue, or the one that the first of them opens; undefined if they stand apart. */
function stateBefore({ account: { newest }, firstSeq, prev, opens }: Continuation): StreamState | undefined {
  if (newest === undefined) return opens;
  const isNext = newest.nextSeq === firstSeq && isHexOf(prev, newest.last) && !newest.closed;
  return isNext ? newest : undefined;
}
