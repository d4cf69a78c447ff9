/**
 * Admission of receipts, in the sequencer's turn: dedup before continuity.
 *
 *     known bytes                           → the index of the first
 *     the next receipt of its stream        → a new entry
 *     seq above the next                    → ERR_STREAM_GAP, with the tip
 *     seq taken, by the same body           → the index of that receipt: a second signature is no second statement
 *     seq taken, by another body            → ERR_STREAM_FORK; the refused receipt is kept in the write-ahead log
 *
 * A submission is admitted whole or not at all.
 */

import { equalBytes } from "../../kernel/bytes.ts";
import { CheckError, invariant } from "../../kernel/errors.ts";
import type { LeafHash } from "../../kernel/merkle/hash.ts";
import { parseReceipt, receiptBodyHash } from "../../kernel/receipt/receipt.ts";
import { nextStreamState, type StreamState } from "../../kernel/stream/stream-state.ts";
import type { LeafRun } from "../promise/promise-desk.ts";
import type { Known, LeafIndex } from "../sequence/entry-index.ts";
import type { Decision, Flush, Sequencer } from "../sequence/sequencer.ts";
import type { Tree } from "../tree/tree.ts";
import type { Candidate, Submission } from "./candidates.ts";
import { Refusal } from "./refusal.ts";
import type { ShownTip, StreamAccount } from "./stream-account.ts";
import { receiptRows, type StreamBook } from "./stream-book.ts";

/** What admission works with. */
export interface AdmitParts {
  readonly sequencer: Sequencer;
  readonly index: LeafIndex;
  readonly tree: Tree;
  readonly streams: StreamBook;
  /** Told of every refused receipt of a fork. */
  readonly onConflict: () => void;
  /** Told of a refused receipt once it is kept, durably. */
  readonly onKept?: (receipt: Uint8Array) => void;
}

/** Where a submission is. */
export interface Admitted {
  /** Index of its first receipt; a receipt of a submission that was new as a whole stands right behind the one before. */
  readonly firstIndex: bigint;
  readonly leaf: LeafHash;
  readonly count: number;
  readonly tip: ShownTip;
  /**
   * Its receipts in runs of consecutive indexes, in their order: one run, unless parts of it were known from elsewhere. One
   * that is in the log with another signature is in none: the leaf at its index is not its own.
   */
  readonly runs: readonly LeafRun[];
  /** What the sync that answers it made durable. */
  readonly flush: Flush;
}

/** What a turn found: done, or a receipt whose seq is taken by bytes that are not its own. */
type Outcome =
  | { readonly kind: "admitted"; readonly admitted: Admitted }
  | { readonly kind: "taken"; readonly by: Candidate };

/**
 * Admits a submission; resolves once it is durable.
 *
 * @throws {Refusal} ERR_STREAM_GAP, ERR_STREAM_FORK, ERR_STREAM_PREV, ERR_STREAM_CLOSED, ERR_STREAM_KEY, with the tip
 * @throws {StoreError} ERR_QUEUE_FULL, ERR_LEDGER_STOPPED
 */
export async function admit(parts: AdmitParts, submission: Submission): Promise<Admitted> {
  // Receipts that are in the log with the same body and another signature, by candidate.
  const resigned = new Map<Candidate, bigint>();
  for (;;) {
    const outcome = await parts.sequencer.submit<Outcome>({
      entries: submission.candidates,
      decide: (known, next) =>
        decide(submission, { known, placeOf: (candidate) => known(candidate.leaf) ?? resigned.get(candidate) }, next),
    });
    if (outcome.kind === "admitted") return outcome.admitted;
    // The receipt that has this seq is durable now, so it can be read.
    const index = await findSame(parts, submission.account, outcome.by);
    if (index === undefined) return refuseFork(parts, submission.account, outcome.by);
    resigned.set(outcome.by, index);
  }
}

type Place = (candidate: Candidate) => bigint | undefined;

/** What the log has: by leaf, and by receipt, whose bytes there may be signed another time. */
interface Places {
  readonly known: Known;
  readonly placeOf: Place;
}

/** What a submission does to its stream. */
type Plan =
  | { readonly kind: "append"; readonly fresh: readonly Candidate[]; readonly state: StreamState | undefined }
  | { readonly kind: "taken"; readonly by: Candidate }
  | { readonly kind: "refused"; readonly error: CheckError };

function decide(submission: Submission, places: Places, next: bigint): Decision<Outcome> {
  const { account } = submission;
  const plan = planSteps(submission, places.placeOf);
  // Refusals are told after the sync as well: the tip in them is durable.
  if (plan.kind === "refused") return { entries: [], settle: () => throwRefusal(plan.error, account) };
  if (plan.kind === "taken") return { entries: [], settle: () => plan };
  return decideAppend(submission, plan.fresh, plan.state, places, next);
}

function planSteps({ account, candidates }: Submission, placeOf: Place): Plan {
  let state = account.newest;
  const fresh: Candidate[] = [];
  for (const candidate of candidates) {
    if (placeOf(candidate) !== undefined) continue;
    if (state !== undefined && candidate.receipt.seq < state.nextSeq) return { kind: "taken", by: candidate };
    const step = tryStep(state, candidate);
    if (step instanceof CheckError) return { kind: "refused", error: step };
    state = step;
    fresh.push(candidate);
  }
  return { kind: "append", fresh, state };
}

function decideAppend(
  { account, candidates, segment }: Submission,
  fresh: readonly Candidate[],
  state: StreamState | undefined,
  { known, placeOf }: Places,
  next: bigint,
): Decision<Outcome> {
  const [[first], [firstFresh]] = [candidates, fresh];
  invariant(first !== undefined, "a submission has at least one receipt");
  const place = { firstIndex: placeOf(first) ?? next, leaf: first.leaf, count: candidates.length };
  const runs = runsOf(candidates, fresh, known, next);
  const answer = (flush: Flush): Outcome => ({
    kind: "admitted",
    admitted: { ...place, runs, flush, tip: account.tip() },
  });
  if (state === undefined || firstFresh === undefined) return { entries: [], settle: answer };
  account.decide(state);
  return {
    entries: fresh,
    beside: segment === undefined ? [] : [{ kind: "segment", bytes: segment }],
    rows: receiptRows(state, firstFresh.receipt, next),
    settle: (flush) => {
      account.show(state);
      return answer(flush);
    },
  };
}

/** Where the candidates' own leaves are: known ones, and fresh ones, which get the indexes from `next` on. */
function runsOf(
  candidates: readonly Candidate[],
  fresh: readonly Candidate[],
  known: Known,
  next: bigint,
): readonly LeafRun[] {
  if (fresh.length === candidates.length) return [{ firstIndex: next, leaves: candidates.map(({ leaf }) => leaf) }];
  const runs: { firstIndex: bigint; leaves: LeafHash[] }[] = [];
  const freshPlaces = new Map(fresh.map((candidate, i) => [candidate, next + BigInt(i)]));
  for (const candidate of candidates) {
    const index = freshPlaces.get(candidate) ?? known(candidate.leaf);
    if (index === undefined) continue;
    const run = runs.at(-1);
    if (run !== undefined && run.firstIndex + BigInt(run.leaves.length) === index) run.leaves.push(candidate.leaf);
    else runs.push({ firstIndex: index, leaves: [candidate.leaf] });
  }
  return runs;
}

function tryStep(state: StreamState | undefined, { receipt, bytes }: Candidate): StreamState | CheckError {
  try {
    return nextStreamState(state, receipt, bytes);
  } catch (error) {
    if (error instanceof CheckError) return error;
    throw error;
  }
}

function throwRefusal(error: CheckError, account: StreamAccount): never {
  throw new Refusal(error, { tip: { ...account.tip() } });
}

/** Index of the logged receipt at the candidate's seq, if it says the same. */
async function findSame(
  { index, streams, tree }: AdmitParts,
  account: StreamAccount,
  candidate: Candidate,
): Promise<bigint | undefined> {
  await index.flush();
  const place = await streams.indexOf(account.stream, candidate.receipt.seq);
  const logged = parseReceipt(await tree.readEntry(place));
  const isThere = logged.stream === account.stream && logged.seq === candidate.receipt.seq;
  invariant(isThere, `entry ${place} is not the receipt that the index names`);
  return equalBytes(receiptBodyHash(logged), receiptBodyHash(candidate.receipt)) ? place : undefined;
}

/** Keeps the refused receipt: with the logged one it proves that the stream's key signed two histories. */
function refuseFork(
  { sequencer, onConflict, onKept }: AdmitParts,
  account: StreamAccount,
  by: Candidate,
): Promise<never> {
  onConflict();
  const error = new CheckError("ERR_STREAM_FORK", `seq ${by.receipt.seq} of the stream is another receipt`);
  return sequencer.submit<never>({
    entries: [],
    decide: () => {
      const beside = account.takeConflict(by.leaf) ? [{ kind: "conflict" as const, bytes: by.bytes }] : [];
      const settle = (): never => {
        if (beside.length > 0) onKept?.(by.bytes);
        return throwRefusal(error, account);
      };
      return { entries: [], beside, settle };
    },
  });
}
