/**
 * Single receipts of a streaming submission, one a line. Those that came behind each other are read together and, as long as they
 * go on right where their stream ends, admitted together; else each by itself, as if it had come alone. Their lines say the same
 * either way.
 */

import { HASH_BYTES, leafAt } from "../../kernel/merkle/hash.ts";
import { type AdmitParts, type Admitted, admit } from "../admission/admit.ts";
import {
  type ReadingDesk,
  type ReceiptRun,
  readTogether,
  type StreamGuess,
  type Submission,
} from "../admission/candidates.ts";
import { continueWithRun } from "../admission/continue.ts";
import { Refusal } from "../admission/refusal.ts";
import { leafPromise, placeAnswer } from "./admitted-answer.ts";
import type { SubmissionRouteParts } from "./submission-route.ts";
import type { FrameStep, OpenLine } from "./submission-stream.ts";

/** Of one hash. */
const HASH_DIGITS = 2 * HASH_BYTES;

/** How the frames of one connection are admitted. */
export interface Admission {
  readonly parts: Pick<SubmissionRouteParts, "admit" | "promises" | "quota">;
  /** Whether promises are asked for. */
  readonly isAsked: boolean;
  readonly desk: ReadingDesk;
  readonly guess: StreamGuess;
}

/** Reads receipts that came behind each other; gives the step that admits them. @throws {StoreError} ERR_QUEUE_FULL */
export async function prepareReceipts(admission: Admission, receipts: readonly Uint8Array[]): Promise<FrameStep> {
  const read = await readTogether(admission.desk, receipts, admission.guess);
  return read.kind === "run" ? runStep(admission, read.run) : singlesStep(admission, read.reads);
}

/** The step of receipts that were read each by itself. */
export function singlesStep(admission: Admission, reads: readonly PromiseSettledResult<Submission>[]): FrameStep {
  return (lines) => {
    for (const [i, line] of lines.entries()) {
      const read = reads[i];
      if (read?.status === "fulfilled") payAndAdmit(admission, read.value, line);
      else line.refuse(read?.reason);
    }
  };
}

function runStep(admission: Admission, run: ReceiptRun): FrameStep {
  return (lines) => {
    const { count, refusal } = payForRun(admission, run);
    if (count === lines.length) {
      admitRun(admission, run, lines);
      return;
    }
    for (const [i, line] of lines.entries()) {
      if (i < count) admitLine(admission, run.memberAt(i), line);
      else if (i === count) line.refuse(refusal);
      else payAndAdmit(admission, run.memberAt(i), line);
    }
  };
}

/** Pays for each receipt, as it would if it came alone. @returns how many are paid for, and why the next one is not */
function payForRun(
  { parts }: Admission,
  { account, entries }: ReceiptRun,
): { readonly count: number; readonly refusal?: unknown } {
  const { starts, ends } = entries;
  for (let i = 0; i < starts.length; i += 1) {
    try {
      parts.quota.take(account.stream, { receipts: 1, bytes: (ends[i] ?? 0) - (starts[i] ?? 0) });
    } catch (refusal) {
      return { count: i, refusal };
    }
  }
  return { count: starts.length };
}

/** What does not go on there, or is refused as a whole, is judged receipt by receipt: some of it may be in the log already. */
function admitRun(admission: Admission, run: ReceiptRun, lines: readonly OpenLine[]): void {
  const admitEach = (): void => {
    for (const [i, line] of lines.entries()) admitLine(admission, run.memberAt(i), line);
  };
  continueWithRun(admission.parts.admit, run).then((outcome) => {
    if (outcome.kind === "admitted") answerRun(admission, run, outcome.admitted, lines);
    else admitEach();
  }, admitEach);
}

/** Each line says where its receipt is, and where the stream stood behind it. */
function answerRun(admission: Admission, run: ReceiptRun, admitted: Admitted, lines: readonly OpenLine[]): void {
  const hashes = digitsOf(run.read.hashes);
  for (const [i, line] of lines.entries()) {
    try {
      line.answer(answerOf(admission, run, admitted, i, hashes.slice(i * HASH_DIGITS, (i + 1) * HASH_DIGITS)));
    } catch (error) {
      line.refuse(error);
    }
  }
}

/** @param hash  of receipt `i` of the run */
function answerOf(
  { parts, isAsked }: Admission,
  { entries, read }: ReceiptRun,
  { firstIndex, runs, flush }: Admitted,
  i: number,
  hash: string,
): object {
  const place = { firstIndex: firstIndex + BigInt(i), count: 1, tip: { next_seq: read.first.seq + i + 1, last: hash } };
  if (!isAsked) return placeAnswer(place);
  const leaf = leafAt(entries.leaves, i);
  return { ...placeAnswer(place), ...leafPromise(parts.promises, isAsked, { ...place, leaf, runs, flush }) };
}

/** Of many hashes at once. */
function digitsOf(hashes: Uint8Array): string {
  return Buffer.from(hashes.buffer, hashes.byteOffset, hashes.length).toString("hex");
}

function payAndAdmit(admission: Admission, submission: Submission, line: OpenLine): void {
  const [bytes] = submission.candidates.map((candidate) => candidate.bytes.length);
  try {
    admission.parts.quota.take(submission.account.stream, { receipts: 1, bytes: bytes ?? 0 });
  } catch (error) {
    line.refuse(error);
    return;
  }
  admitLine(admission, submission, line);
}

/** Admits a receipt that is paid for. */
function admitLine({ parts, isAsked }: Admission, submission: Submission, line: OpenLine): void {
  admitBehind(parts.admit, submission, line)
    .then((admitted) => line.answer({ ...placeAnswer(admitted), ...leafPromise(parts.promises, isAsked, admitted) }))
    .catch(line.refuse);
}

/** What stands in front may be what it continues. */
async function admitBehind(admission: AdmitParts, submission: Submission, line: OpenLine): Promise<Admitted> {
  try {
    return await admit(admission, submission);
  } catch (error) {
    if (!(error instanceof Refusal) || error.error.code !== "ERR_STREAM_GAP") throw error;
    await line.before();
    return admit(admission, submission);
  }
}
