/** Receipts on their way in: parsed, and their signatures checked, before the sequencer's turn. */

import { setImmediate } from "node:timers/promises";
import { CheckError, FormatError } from "../../kernel/errors.ts";
import { hashLeaf, type LeafHash } from "../../kernel/merkle/hash.ts";
import { parseReceipt, type StreamReceipt } from "../../kernel/receipt/receipt.ts";
import { checkSegment, type ParsedSegment, parseSegment, type Segment } from "../../kernel/segment.ts";
import { checkSigners } from "../../kernel/stream/stream-keys.ts";
import { checkReceiptSignature, checkStreamOpen } from "../../kernel/stream/stream-state.ts";
import type { PendingEntry } from "../sequence/sequencer.ts";
import type { StreamAccount } from "./stream-account.ts";
import type { StreamBook } from "./stream-book.ts";

/** Signatures that are checked before other work gets the thread: about two milliseconds. */
const CHECKS_A_SLICE = 16;

/** A receipt whose signature holds. */
export interface Candidate extends PendingEntry {
  readonly receipt: StreamReceipt;
}

/** Receipts of one stream that are admitted together, or not at all. */
export interface Submission {
  readonly account: StreamAccount;
  readonly candidates: readonly Candidate[];
  /** Envelope bytes of the segment that brought them. */
  readonly segment?: Uint8Array;
}

/**
 * Reads a single receipt.
 *
 * @throws {FormatError | CheckError} as `parseReceipt` and `checkReceiptSignature`; ERR_STREAM_UNKNOWN, ERR_STREAM_KEY
 */
export function readSingle(streams: StreamBook, origin: string, bytes: Uint8Array): Submission {
  const receipt = parseReceipt(bytes);
  const account = findAccount(streams, receipt.stream);
  checkSigned(account, receipt, origin);
  return { account, candidates: [{ bytes, leaf: hashLeaf(bytes), receipt }] };
}

/**
 * Reads a segment: its own signature and root first, then every receipt and its signature.
 *
 * @throws {FormatError | CheckError} as `parseSegment`, `checkSegment`, `readSingle`; ERR_SEGMENT if a receipt is not the
 *   one that its place in the segment demands
 */
export async function readSegment(streams: StreamBook, origin: string, bytes: Uint8Array): Promise<Submission> {
  const parsed = parseSegment(bytes);
  const account = findAccount(streams, parsed.segment.stream);
  const leaves = checkSegment(parsed, account.keys, origin);
  const candidates: Candidate[] = [];
  for (const [i, leaf] of leaves.entries()) {
    if (i % CHECKS_A_SLICE === CHECKS_A_SLICE - 1) await setImmediate();
    const candidate = readMember(parsed, i, leaf);
    checkSigned(account, candidate.receipt, origin);
    candidates.push(candidate);
  }
  return { account, candidates, segment: bytes.subarray(0, bytes.indexOf(0x0a)) };
}

function readMember({ segment, receipts }: ParsedSegment, i: number, leaf: LeafHash): Candidate {
  const bytes = receipts[i] ?? new Uint8Array(0);
  const receipt = parseReceipt(bytes);
  checkPlace(segment, i, receipt);
  return { bytes, leaf, receipt };
}

function checkPlace(segment: Segment, i: number, receipt: StreamReceipt): void {
  const isInPlace = receipt.stream === segment.stream && receipt.seq === segment.first_seq + i;
  if (isInPlace && (i > 0 || receipt.prev === segment.prev)) return;
  throw new FormatError("ERR_SEGMENT", `receipt ${i} of the segment: want seq ${segment.first_seq + i} of its stream`);
}

function findAccount(streams: StreamBook, stream: string): StreamAccount {
  const account = streams.find(stream);
  if (account !== undefined) return account;
  throw new CheckError("ERR_STREAM_UNKNOWN", "the stream is not registered with this log");
}

/** The first receipt is signed by both keys and opens the stream for this log; all others by the receipt key. */
function checkSigned(account: StreamAccount, receipt: StreamReceipt, origin: string): void {
  if (receipt.kind !== "stream-open") {
    checkSigners(receipt.signatures, [account.keys.receipt]);
    checkReceiptSignature(account.keys, receipt);
    return;
  }
  const keys = checkStreamOpen(receipt);
  if (keys.receipt.kid !== account.keys.receipt.kid || keys.instance.kid !== account.keys.instance.kid) {
    throw new CheckError("ERR_STREAM_KEY", "the stream opens with other keys than it was registered with");
  }
  if (receipt.log !== origin) throw new CheckError("ERR_ADMISSION", `log: want a stream whose home log is ${origin}`);
}
