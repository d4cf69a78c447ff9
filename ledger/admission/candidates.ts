/**
 * Receipts on their way in, before the sequencer's turn: single ones parsed and their signatures checked; segments as a
 * whole, by their own signature and by the places that their receipts claim. What the receipts of a segment say besides is
 * read in the background (ledger/checks/), or at once where the segment does not simply continue its stream.
 */

import { setImmediate } from "node:timers/promises";
import { CheckError, FormatError } from "../../kernel/errors.ts";
import { hashLeaf } from "../../kernel/merkle/hash.ts";
import { parseReceipt, type StreamReceipt } from "../../kernel/receipt/receipt.ts";
import { scanReceipt } from "../../kernel/receipt/scan.ts";
import { readSignedReceipt, type SignedForm } from "../../kernel/receipt/signed-form.ts";
import { checkSegment, type ParsedSegment, parseSegment, type Segment } from "../../kernel/segment.ts";
import { checkSigners } from "../../kernel/stream/stream-keys.ts";
import { checkReceiptSignature, checkStreamOpen } from "../../kernel/stream/stream-state.ts";
import type { PendingEntry } from "../sequence/sequencer.ts";
import { checkSignatureInPool } from "./pooled-signature.ts";
import { byteText } from "./scan-entry.ts";
import type { StreamAccount } from "./stream-account.ts";
import type { StreamBook } from "./stream-book.ts";

/** Receipts that are read before other work gets the thread: about two milliseconds. */
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

/** A segment that its stream's key signed, and whose receipts claim the places that it gives them; they are not parsed. */
export interface ClaimedSegment {
  readonly account: StreamAccount;
  readonly segment: Segment;
  readonly entries: readonly PendingEntry[];
  /** Envelope bytes. */
  readonly envelope: Uint8Array;
  /** True if the last receipt closes the stream. */
  readonly closes: boolean;
}

/**
 * Reads a single receipt; its signature is checked on the thread pool.
 *
 * @throws {FormatError | CheckError} as `parseReceipt` and `checkReceiptSignature`; ERR_STREAM_UNKNOWN, ERR_STREAM_KEY
 */
export async function readSingle(streams: StreamBook, origin: string, bytes: Uint8Array): Promise<Submission> {
  const form = readSignedReceipt(bytes);
  const account = findAccount(streams, form.receipt.stream);
  await checkSigned(account, form, origin);
  return { account, candidates: [{ bytes, leaf: hashLeaf(bytes), receipt: form.receipt }] };
}

/**
 * Reads a segment: its signature and root, and where its receipts say they stand.
 *
 * @throws {FormatError | CheckError} as `parseSegment` and `checkSegment`; ERR_STREAM_UNKNOWN; ERR_SEGMENT if a receipt is
 *   not the one that its place in the segment demands; as `parseReceipt` for one that does not even name a place;
 *   ERR_STREAM_CLOSED for one behind a close
 */
export function readSegment(streams: StreamBook, origin: string, bytes: Uint8Array): ClaimedSegment {
  const parsed = parseSegment(bytes);
  const account = findAccount(streams, parsed.segment.stream);
  const leaves = checkSegment(parsed, account.keys, origin);
  const closes = checkPlaces(parsed, bytes);
  const entries = leaves.map((leaf, i) => ({ leaf, bytes: parsed.receipts[i] ?? new Uint8Array(0) }));
  return { account, segment: parsed.segment, entries, envelope: bytes.subarray(0, bytes.indexOf(0x0a)), closes };
}

/**
 * Reads every receipt of a segment, as if each had come alone.
 *
 * @throws {FormatError | CheckError} as `readSingle`
 */
export async function readMembers(claimed: ClaimedSegment, origin: string): Promise<Submission> {
  const { account, entries, envelope } = claimed;
  const forms: SignedForm[] = [];
  for (const [i, { bytes }] of entries.entries()) {
    if (i % CHECKS_A_SLICE === CHECKS_A_SLICE - 1) await setImmediate();
    forms.push(readSignedReceipt(bytes));
  }
  await Promise.all(forms.map((form) => checkSigned(account, form, origin)));
  const candidates = entries.flatMap((entry, i) => {
    const form = forms[i];
    return form === undefined ? [] : [{ ...entry, receipt: form.receipt }];
  });
  return { account, candidates, segment: envelope };
}

/** @returns true if the last receipt closes the stream */
function checkPlaces({ segment, receipts }: ParsedSegment, bytes: Uint8Array): boolean {
  const text = byteText(bytes);
  let at = bytes.indexOf(0x0a) + 1;
  let isClosed = false;
  for (const [i, receipt] of receipts.entries()) {
    const place = scanReceipt(text, at, at + receipt.length);
    at += receipt.length + 1;
    // One that claims no place is no receipt; its parser says why.
    if (place === undefined) parseReceipt(receipt);
    const isInPlace = place?.stream === segment.stream && place.seq === segment.first_seq + i;
    if (!isInPlace || (i === 0 && place.prev !== segment.prev)) {
      throw new FormatError(
        "ERR_SEGMENT",
        `receipt ${i} of the segment: want seq ${segment.first_seq + i} of its stream`,
      );
    }
    if (isClosed) throw new CheckError("ERR_STREAM_CLOSED", "the segment has receipts behind a close");
    isClosed = place.kind === "stream-close";
  }
  return isClosed;
}

function findAccount(streams: StreamBook, stream: string): StreamAccount {
  const account = streams.find(stream);
  if (account !== undefined) return account;
  throw new CheckError("ERR_STREAM_UNKNOWN", "the stream is not registered with this log");
}

/** The first receipt is signed by both keys and opens the stream for this log; all others by the receipt key. */
async function checkSigned(account: StreamAccount, form: SignedForm, origin: string): Promise<void> {
  const { receipt } = form;
  if (receipt.kind !== "stream-open") {
    checkSigners(receipt.signatures, [account.keys.receipt]);
    if (account.keys.receipt.alg !== "ed25519") checkReceiptSignature(account.keys, receipt, form.bodyHash);
    else await checkSignatureInPool(account.keys.receipt, receipt, form.bodyHash);
    return;
  }
  const keys = checkStreamOpen(receipt);
  if (keys.receipt.kid !== account.keys.receipt.kid || keys.instance.kid !== account.keys.instance.kid) {
    throw new CheckError("ERR_STREAM_KEY", "the stream opens with other keys than it was registered with");
  }
  if (receipt.log !== origin) throw new CheckError("ERR_ADMISSION", `log: want a stream whose home log is ${origin}`);
}
