/**
 * Receipts on their way in, before the sequencer's turn: single ones with their form and signatures checked; segments as a
 * whole, by their own signature and by the places that their receipts claim. What the receipts of a segment say besides is
 * read in the background (ledger/checks/), or at once where the segment does not simply continue its stream.
 */

import { concatAll } from "../../kernel/bytes.ts";
import { CheckError, FormatError, invariant } from "../../kernel/errors.ts";
import { type EntryRanges, entryAt } from "../../kernel/merkle/hash.ts";
import { parseReceipt } from "../../kernel/receipt/receipt.ts";
import { readSignedReceipt } from "../../kernel/receipt/signed-form.ts";
import { parseSegmentEnvelope, type Segment } from "../../kernel/segment.ts";
import { checkStreamOpen, openedStream, type StreamLink, type StreamState } from "../../kernel/stream/stream-state.ts";
import { hashesOf, type ReadReceipt, type ReadRun } from "../reading/read.ts";
import type { SubmissionReader } from "../reading/reader.ts";
import { type EntryRun, listEntries, type PendingEntry } from "../sequence/proposal.ts";
import { scanEntry } from "./scan-entry.ts";
import type { StreamAccount } from "./stream-account.ts";
import type { StreamBook } from "./stream-book.ts";

/** Whose submissions are read, and by whom. */
export interface ReadingDesk {
  readonly streams: StreamBook;
  /** Of the log. */
  readonly origin: string;
  readonly reader: SubmissionReader;
}

/** A receipt whose signatures hold. */
export interface Candidate extends PendingEntry {
  readonly link: StreamLink;
  /** Its receipt hash. */
  readonly hash: Uint8Array;
  readonly bodyHash: Uint8Array;
  /** The state that the first receipt of a stream opens. */
  readonly opens?: StreamState;
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
  /** Its receipts, where they were received. */
  readonly entries: EntryRun;
  /** Envelope bytes. */
  readonly envelope: Uint8Array;
  /** True if the last receipt closes the stream. */
  readonly closes: boolean;
  /** The state that its first receipt opens, which was read: it says where the stream is at home, and with which keys. */
  readonly opens?: StreamState;
}

/** Receipts that came behind each other and follow each other in their stream, each of which was read. */
export interface ReceiptRun {
  readonly account: StreamAccount;
  /** Where they were received. */
  readonly entries: EntryRun;
  readonly read: ReadRun;
  /** Receipt `i` by itself. */
  readonly memberAt: (i: number) => Submission;
}

/** What came of reading receipts that came behind each other: a run, or each by itself. */
export type ReadTogether =
  | { readonly kind: "run"; readonly run: ReceiptRun }
  | { readonly kind: "singles"; readonly reads: readonly PromiseSettledResult<Submission>[] };

/**
 * Whose receipts a connection brings, as far as it has shown: who brings those of one stream has them read without a look at
 * them on this thread. Mutable.
 */
export class StreamGuess {
  account: StreamAccount | undefined;
  #isOff = false;

  /** Takes the stream of a receipt. A connection that brings several is not guessed about: a wrong guess reads twice. */
  learn(account: StreamAccount): void {
    this.#isOff ||= this.account !== undefined && this.account !== account;
    this.account = this.#isOff ? undefined : account;
  }
}

/**
 * Reads a single receipt and checks its signatures.
 *
 * @param guess  of the connection that brings it
 * @throws {FormatError | CheckError} as `parseReceipt` and `checkReceiptSignature`; ERR_STREAM_UNKNOWN, ERR_STREAM_KEY
 * @throws {StoreError} ERR_QUEUE_FULL
 */
export async function readSingle(desk: ReadingDesk, bytes: Uint8Array, guess?: StreamGuess): Promise<Submission> {
  const likely = guess?.account;
  const read = likely === undefined ? undefined : await desk.reader.receipt(bytes, likely.source);
  if (likely === undefined || read === undefined) return readNamed(desk, bytes, guess);
  return { account: likely, candidates: [candidateOf(bytes, read)] };
}

/**
 * Reads single receipts that came behind each other on one connection, at least one, and checks their signatures. Who brings those
 * of one stream has them read, and admitted, as one; each has the verdict that `readSingle` gives it.
 *
 * @throws {StoreError} ERR_QUEUE_FULL
 */
export async function readTogether(
  desk: ReadingDesk,
  receipts: readonly Uint8Array[],
  guess: StreamGuess,
): Promise<ReadTogether> {
  const likely = guess.account;
  if (likely === undefined) return settled(receipts.map((bytes) => readSingle(desk, bytes, guess)));
  const reads = await desk.reader.receipts(receipts, likely.source);
  const memberAt = (i: number): Submission | undefined => {
    const [read, bytes] = [reads.at(i), receipts[i]];
    return read === undefined || bytes === undefined
      ? undefined
      : { account: likely, candidates: [candidateOf(bytes, read)] };
  };
  if (reads.run === undefined) {
    return settled(receipts.map(async (bytes, i) => memberAt(i) ?? readNamed(desk, bytes, guess)));
  }
  const member = (i: number): Submission => {
    const submission = memberAt(i);
    invariant(submission !== undefined, "every receipt of a run was read");
    return submission;
  };
  const entries: EntryRun = { ...rangesOf(receipts), leaves: reads.run.leaves };
  return { kind: "run", run: { account: likely, entries, read: reads.run, memberAt: member } };
}

async function settled(reads: readonly Promise<Submission>[]): Promise<ReadTogether> {
  return { kind: "singles", reads: await Promise.allSettled(reads) };
}

/** Where they are in memory: what came in one piece stays in it. */
function rangesOf(receipts: readonly Uint8Array[]): EntryRanges {
  const buffer = receipts[0]?.buffer;
  const isTogether = buffer !== undefined && receipts.every((receipt) => receipt.buffer === buffer);
  const bytes = isTogether ? new Uint8Array(buffer) : concatAll(receipts);
  const [starts, ends] = [new Uint32Array(receipts.length), new Uint32Array(receipts.length)];
  let at = 0;
  for (const [i, { byteOffset, length }] of receipts.entries()) {
    const start = isTogether ? byteOffset : at;
    [starts[i], ends[i]] = [start, start + length];
    at += length;
  }
  return { bytes, starts, ends };
}

/** Reads a receipt of the stream that it names. */
async function readNamed(desk: ReadingDesk, bytes: Uint8Array, guess?: StreamGuess): Promise<Submission> {
  const link = linkOf(bytes);
  const account = findAccount(desk.streams, link.stream);
  guess?.learn(account);
  return { account, candidates: [await readCandidate(desk, account, link, bytes)] };
}

/**
 * Reads a segment: its signature and root, and where its receipts say they stand; of one that begins a stream its first
 * receipt too.
 *
 * @throws {FormatError | CheckError} as `readSegmentBytes`; ERR_STREAM_UNKNOWN; as `readSingle` of a stream's first receipt
 * @throws {StoreError} ERR_QUEUE_FULL
 */
export async function readSegment(desk: ReadingDesk, bytes: Uint8Array): Promise<ClaimedSegment> {
  const segment = parseSegmentEnvelope(bytes);
  const account = findAccount(desk.streams, segment.stream);
  const { origin, reader } = desk;
  const { closes, leaves, starts, ends } = await reader.segment(bytes, account.source, origin);
  const entries: EntryRun = { bytes, starts, ends, leaves };
  const claimed = { account, segment, entries, envelope: bytes.subarray(0, bytes.indexOf(0x0a)), closes };
  if (segment.first_seq > 0) return claimed;
  const { opens } = readOpen(account, entryAt(entries, 0), origin);
  return opens === undefined ? claimed : { ...claimed, opens };
}

/**
 * Reads every receipt of a segment, as if each had come alone.
 *
 * @throws {FormatError | CheckError | StoreError} as `readSingle`
 */
export async function readMembers(desk: ReadingDesk, claimed: ClaimedSegment): Promise<Submission> {
  const { account, entries, envelope } = claimed;
  const read = await Promise.allSettled(
    listEntries(entries).map(async ({ bytes }) => readCandidate(desk, account, linkOf(bytes), bytes)),
  );
  const candidates: Candidate[] = [];
  for (const one of read) {
    // The first false one in the order of the segment is told, whichever thread was done first.
    if (one.status === "rejected") throw one.reason;
    candidates.push(one.value);
  }
  return { account, candidates, segment: envelope };
}

/** What a receipt claims to be. @throws {FormatError | CheckError} as `parseReceipt`, if it claims nothing */
function linkOf(bytes: Uint8Array): StreamLink {
  const place = scanEntry(bytes);
  if (place !== undefined) return place;
  parseReceipt(bytes);
  throw new FormatError("ERR_SHAPE", "receipt: want the members of a receipt at its top level");
}

function findAccount(streams: StreamBook, stream: string): StreamAccount {
  const account = streams.find(stream);
  if (account !== undefined) return account;
  throw new CheckError("ERR_STREAM_UNKNOWN", "the stream is not registered with this log");
}

async function readCandidate(
  { origin, reader }: ReadingDesk,
  account: StreamAccount,
  link: StreamLink,
  bytes: Uint8Array,
): Promise<Candidate> {
  if (link.kind === "stream-open") return readOpen(account, bytes, origin);
  const read = await reader.receipt(bytes, account.source);
  if (read !== undefined) return candidateOf(bytes, read);
  throw new FormatError("ERR_SHAPE", "receipt: want the stream that it claims at its top level");
}

/** Written out, since a spread of it costs as much as a hash. */
function candidateOf(bytes: Uint8Array, { link, leaf, hash, bodyHash }: ReadReceipt): Candidate {
  return { bytes, link, leaf, hash, bodyHash };
}

/** The first receipt is signed by both keys and opens the stream for this log; there is one of them, so it is read here. */
function readOpen(account: StreamAccount, bytes: Uint8Array, origin: string): Candidate {
  const form = readSignedReceipt(bytes);
  const { receipt } = form;
  if (receipt.kind !== "stream-open") throw new FormatError("ERR_SHAPE", "receipt: want one kind");
  const keys = checkStreamOpen(receipt);
  if (keys.receipt.kid !== account.keys.receipt.kid || keys.instance.kid !== account.keys.instance.kid) {
    throw new CheckError("ERR_STREAM_KEY", "the stream opens with other keys than it was registered with");
  }
  if (receipt.log !== origin) throw new CheckError("ERR_ADMISSION", `log: want a stream whose home log is ${origin}`);
  return { bytes, link: receipt, ...hashesOf(bytes, form), opens: openedStream(receipt, keys, bytes) };
}
