/**
 * Admission of receipts, in the sequencer's turn: dedup before continuity.
 *
 *     known bytes                           → the index of the first
 *     the next receipt of its stream        → a new entry
 *     seq above the next                    → ERR_STREAM_GAP, with the tip
 *     seq taken, by the same body           → the index of that receipt: a second signature is no second statement
 *     seq taken, by another body            → ERR_STREAM_FORK; the refused receipt is kept in the write-ahead log
 *     new, of a decommissioned stream       → ERR_STREAM_ENDED
 *
 * A submission is admitted whole or not at all. What goes on right where its stream ends is admitted as a whole (continue.ts); any
 * other segment is read receipt by receipt first.
 */

import { equalBytes } from "../../kernel/bytes.ts";
import { CheckError, invariant, isCodedError } from "../../kernel/errors.ts";
import { hashLeaf, type LeafHash } from "../../kernel/merkle/hash.ts";
import { readSignedReceipt } from "../../kernel/receipt/signed-form.ts";
import { followStream, type StreamState } from "../../kernel/stream/stream-state.ts";
import type { LeafRun } from "../promise/promise-desk.ts";
import type { Known, LeafIndex } from "../sequence/entry-index.ts";
import type { Decision, Flush, Sequencer } from "../sequence/proposal.ts";
import type { Tree } from "../tree/tree.ts";
import type { Candidate, Submission } from "./candidates.ts";
import { Refusal } from "./refusal.ts";
import { scanEntry } from "./scan-entry.ts";
import type { ShownTip, StreamAccount } from "./stream-account.ts";
import { receiptRows, type StreamBook } from "./stream-book.ts";

/** What admission works with. */
export interface AdmitParts {
  readonly sequencer: Sequencer;
  readonly index: LeafIndex;
  readonly tree: Tree;
  readonly streams: StreamBook;
  /** Whether a stream's registration has ended, asked in the turn. Default: none has. */
  readonly hasEnded?: (stream: string) => boolean;
  /** Told of every refused receipt of a fork. */
  readonly onConflict: () => void;
  /** Told of a refused receipt once it is kept, durably. */
  readonly onKept?: (receipt: Uint8Array) => void;
  /** Takes what is admitted without having been read; without it, everything is read first. */
  readonly checks?: Checks | undefined;
}

/** The background check of receipts. */
export interface Checks {
  /** @throws {StoreError} ERR_CHECK_BACKLOG while too much waits */
  readonly requireRoom: () => void;
  /** True for a stream of which a false receipt was found: its segments are read before they are admitted. */
  readonly distrusts: (stream: string) => boolean;
  /** Takes a run of new receipts at its index, in the order of the log; it is read once it is durable. */
  readonly expect: (run: { readonly firstIndex: bigint; readonly count: number; readonly bytes: number }) => void;
  /** Told that something expected is durable. */
  readonly wake: () => void;
}

/** Where a submission is. */
export interface Admitted {
  /** Index of its first receipt; a receipt of a submission that was new as a whole stands right behind the one before. */
  readonly firstIndex: bigint;
  /** The leaf there: that of the receipt as it is in the log, whatever signature it was submitted with. */
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
 * @throws {Refusal} ERR_STREAM_GAP, ERR_STREAM_FORK, ERR_STREAM_PREV, ERR_STREAM_CLOSED, ERR_STREAM_ENDED, ERR_STREAM_KEY, with
 *   the tip
 * @throws {StoreError} ERR_QUEUE_FULL, ERR_LEDGER_STOPPED
 */
export async function admit(parts: AdmitParts, submission: Submission): Promise<Admitted> {
  // Receipts that are in the log with the same body and another signature, by candidate.
  const resigned = new Map<Candidate, LoggedLeaf>();
  for (;;) {
    const outcome = await parts.sequencer.submit<Outcome>({
      entries: submission.candidates,
      decide: (known, next) =>
        decide({ ...submission, hasEnded: hasEnded(parts, submission) }, { known, resigned }, next),
    });
    if (outcome.kind === "admitted") return outcome.admitted;
    // The receipt that has this seq is durable now, so it can be read.
    const same = await findSame(parts, submission.account, outcome.by);
    if (same === undefined) return refuseFork(parts, submission.account, outcome.by);
    resigned.set(outcome.by, same);
  }
}

/** A leaf of the log. */
interface LoggedLeaf {
  readonly index: bigint;
  readonly leaf: LeafHash;
}

/** What the log has: by leaf, and by receipt, whose bytes there may be signed another time. */
interface Places {
  readonly known: Known;
  readonly resigned: ReadonlyMap<Candidate, LoggedLeaf>;
}

/** Where the log has what a candidate says. */
function placeOf({ known, resigned }: Places, candidate: Candidate): LoggedLeaf | undefined {
  const index = known(candidate.leaf);
  return index === undefined ? resigned.get(candidate) : { index, leaf: candidate.leaf };
}

const ENDED = new CheckError(
  "ERR_STREAM_ENDED",
  "the stream is decommissioned: its registration with this log has ended",
);

/** What a submission does to its stream. */
type Plan =
  | { readonly kind: "append"; readonly fresh: readonly Candidate[]; readonly state: StreamState | undefined }
  | { readonly kind: "taken"; readonly by: Candidate }
  | { readonly kind: "refused"; readonly error: CheckError };

/** A submission, and whether its stream is decommissioned. */
type JudgedSubmission = Submission & { readonly hasEnded: boolean };

/** Whether a submission's stream is decommissioned; asked in the turn. */
export function hasEnded(parts: AdmitParts, { account }: Pick<Submission, "account">): boolean {
  return parts.hasEnded?.(account.stream) === true;
}

function decide(submission: JudgedSubmission, places: Places, next: bigint): Decision<Outcome> {
  const { account } = submission;
  const plan = planSteps(submission, places);
  // Refusals are told after the sync as well: the tip in them is durable.
  if (plan.kind === "refused") return { entries: [], settle: () => throwRefusal(plan.error, account) };
  if (plan.kind === "taken") return { entries: [], settle: () => plan };
  return decideAppend(submission, plan.fresh, plan.state, places, next);
}

function planSteps({ account, candidates, hasEnded }: JudgedSubmission, places: Places): Plan {
  let state = account.newest;
  const fresh: Candidate[] = [];
  for (const candidate of candidates) {
    if (placeOf(places, candidate) !== undefined) continue;
    if (state !== undefined && candidate.link.seq < state.nextSeq) return { kind: "taken", by: candidate };
    if (hasEnded) return { kind: "refused", error: ENDED };
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
  places: Places,
  next: bigint,
): Decision<Outcome> {
  const [[first], [firstFresh]] = [candidates, fresh];
  invariant(first !== undefined, "a submission has at least one receipt");
  const { index: firstIndex, leaf } = placeOf(places, first) ?? { index: next, leaf: first.leaf };
  const place = { firstIndex, leaf, count: candidates.length };
  const runs = runsOf(candidates, fresh, places.known, next);
  const answer = (flush: Flush): Outcome => ({
    kind: "admitted",
    admitted: { ...place, runs, flush, tip: account.tip() },
  });
  if (state === undefined || firstFresh === undefined) return { entries: [], settle: answer };
  account.decide(state);
  return {
    entries: fresh,
    beside: segment === undefined ? [] : [{ kind: "segment", bytes: segment }],
    rows: receiptRows(account, state, firstFresh.link.seq, next),
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

function tryStep(state: StreamState | undefined, { link, hash, opens }: Candidate): StreamState | CheckError {
  try {
    if (state !== undefined) return followStream(state, link, hash);
    if (opens !== undefined) return opens;
    return new CheckError("ERR_STREAM_GAP", `the stream starts at seq 0, got ${link.seq}`);
  } catch (error) {
    if (error instanceof CheckError) return error;
    throw error;
  }
}

function throwRefusal(error: CheckError, account: StreamAccount): never {
  throw new Refusal(error, { tip: { ...account.tip() } });
}

/** The logged receipt at the candidate's seq, if it says the same. */
async function findSame(
  { index, streams, tree }: AdmitParts,
  account: StreamAccount,
  candidate: Candidate,
): Promise<LoggedLeaf | undefined> {
  await index.flush();
  const place = await streams.indexOf(account.stream, candidate.link.seq);
  const entry = await tree.readEntry(place);
  const claim = scanEntry(entry);
  const isThere = claim?.stream === account.stream && claim.seq === candidate.link.seq;
  invariant(isThere, `entry ${place} is not the receipt that the index names`);
  const logged = bodyHashOf(entry);
  // What a segment brought in and is no receipt says something else than any receipt.
  if (logged === undefined || !equalBytes(logged, candidate.bodyHash)) return undefined;
  return { index: place, leaf: hashLeaf(entry) };
}

function bodyHashOf(entry: Uint8Array): Uint8Array | undefined {
  try {
    return readSignedReceipt(entry).bodyHash;
  } catch (error) {
    if (isCodedError(error)) return undefined;
    throw error;
  }
}

/** Keeps the refused receipt: with the logged one it proves that the stream's key signed two histories. */
function refuseFork(
  { sequencer, onConflict, onKept }: AdmitParts,
  account: StreamAccount,
  by: Candidate,
): Promise<never> {
  onConflict();
  const error = new CheckError("ERR_STREAM_FORK", `seq ${by.link.seq} of the stream is another receipt`);
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
