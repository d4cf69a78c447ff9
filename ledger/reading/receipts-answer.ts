/**
 * What was read of many receipts, in columns: hashes and numbers of all lie one behind the other, so that no object is made for
 * a receipt which is like those around it, and whoever takes them takes a run at once.
 */

import { isHexOf } from "../../kernel/hex.ts";
import { HASH_BYTES, type LeafHashes, parseLeafHash, parseLeafHashes } from "../../kernel/merkle/hash.ts";
import { RECEIPT_KINDS } from "../../kernel/receipt/receipt.ts";
import type { StreamLink } from "../../kernel/stream/stream-state.ts";
import { type ReadReceipt, type ReadReceipts, type ReadRun, type ReceiptSource, readReceipt } from "./read.ts";
import { attempt, errorOf, type ReadingFault } from "./reading-fault.ts";

/** What was read of receipts, each at its place. */
export interface ReceiptsAnswer {
  readonly kind: "receipts";
  /** Leaf hash, receipt hash and body hash of each, in one memory. */
  readonly leaves: Uint8Array;
  readonly hashes: Uint8Array;
  readonly bodyHashes: Uint8Array;
  /** Number of each one's kind in `RECEIPT_KINDS`; `APART` of one that is not of its source or opens the stream. */
  readonly kinds: Uint8Array;
  readonly seqs: Float64Array;
  /** 1 for one that was read and follows the one in front of it, of the same source, as its stream wants it. */
  readonly follows: Uint8Array;
  /** What each names as the hash before it, one behind the other, in hexadecimal; blanks where it was not read. */
  readonly prevs: string;
  readonly faults: ReadonlyMap<number, ReadingFault>;
}

/** Kind of a receipt that was not read, by `ReceiptsAnswer.kinds`. */
const APART = 255;
const PREV_DIGITS = 2 * HASH_BYTES;
const NO_PREV = " ".repeat(PREV_DIGITS);
const CLOSE = RECEIPT_KINDS.indexOf("stream-close");

/** Reads receipts, each with its own verdict. @param sourceOf  what receipt `i` is read with */
export function readAll(receipts: readonly Uint8Array[], sourceOf: (i: number) => ReceiptSource): ReceiptsAnswer {
  const answer = new GrowingAnswer(receipts.length);
  for (const [i, bytes] of receipts.entries()) {
    const source = sourceOf(i);
    const read = attempt(() => readReceipt(bytes, source));
    if ("fault" in read) answer.refuse(i, read.fault);
    else answer.put(i, read.value, source);
  }
  return answer.whole();
}

/** Receipts `from` to `from + count` of an answer, which were read with `source`. */
export function answeredReceipts(
  answer: ReceiptsAnswer,
  from: number,
  count: number,
  source: ReceiptSource,
): ReadReceipts {
  return { run: runOf(answer, from, count, source), at: (i) => readAt(answer, from + i, source) };
}

/** Gathers what is read; mutable. */
class GrowingAnswer {
  readonly #hashes: ArrayBuffer;
  readonly #columns: readonly Uint8Array[];
  readonly #kinds: Uint8Array;
  readonly #seqs: Float64Array;
  readonly #follows: Uint8Array;
  readonly #faults = new Map<number, ReadingFault>();
  #prevs = "";
  /** The receipt in front, if it was read. */
  #last: { readonly read: ReadReceipt; readonly source: ReceiptSource } | undefined;

  constructor(count: number) {
    this.#hashes = new ArrayBuffer(3 * count * HASH_BYTES);
    this.#columns = [0, 1, 2].map((i) => new Uint8Array(this.#hashes, i * count * HASH_BYTES, count * HASH_BYTES));
    this.#kinds = new Uint8Array(count).fill(APART);
    this.#seqs = new Float64Array(count);
    this.#follows = new Uint8Array(count);
  }

  /** Takes a receipt that is not the first of its stream; undefined for one that was not read. */
  put(i: number, read: ReadReceipt | undefined, source: ReceiptSource): void {
    this.#prevs += read?.link.prev ?? NO_PREV;
    if (read !== undefined) {
      for (const [column, hash] of [read.leaf, read.hash, read.bodyHash].entries()) {
        this.#columns[column]?.set(hash, i * HASH_BYTES);
      }
      this.#kinds[i] = RECEIPT_KINDS.indexOf(read.link.kind);
      this.#seqs[i] = read.link.seq;
      this.#follows[i] = this.#last?.source === source && isBehind(this.#last.read, read.link) ? 1 : 0;
    }
    this.#last = read === undefined ? undefined : { read, source };
  }

  refuse(i: number, fault: ReadingFault): void {
    this.#faults.set(i, fault);
    this.#prevs += NO_PREV;
    this.#last = undefined;
  }

  whole(): ReceiptsAnswer {
    const [leaves = new Uint8Array(0), hashes = leaves, bodyHashes = leaves] = this.#columns;
    const [kinds, seqs, follows] = [this.#kinds, this.#seqs, this.#follows];
    return {
      kind: "receipts",
      leaves,
      hashes,
      bodyHashes,
      kinds,
      seqs,
      follows,
      prevs: this.#prevs,
      faults: this.#faults,
    };
  }
}

/** As `followStream` wants the next one. */
function isBehind({ link, hash }: ReadReceipt, { seq, prev }: StreamLink): boolean {
  return seq === link.seq + 1 && link.kind !== "stream-close" && isHexOf(prev, hash);
}

function runOf(answer: ReceiptsAnswer, from: number, count: number, { stream }: ReceiptSource): ReadRun | undefined {
  const first = linkAt(answer, from, stream);
  if (first === undefined) return undefined;
  for (let i = from + 1; i < from + count; i += 1) if (answer.follows[i] !== 1) return undefined;
  const [start, end] = [from * HASH_BYTES, (from + count) * HASH_BYTES];
  const leaves: LeafHashes = parseLeafHashes(answer.leaves.subarray(start, end));
  return {
    first,
    leaves,
    hashes: answer.hashes.subarray(start, end),
    closes: answer.kinds[from + count - 1] === CLOSE,
  };
}

function readAt(answer: ReceiptsAnswer, i: number, { stream }: ReceiptSource): ReadReceipt | undefined {
  const fault = answer.faults.get(i);
  if (fault !== undefined) throw errorOf(fault);
  const link = linkAt(answer, i, stream);
  if (link === undefined) return undefined;
  const [start, end] = [i * HASH_BYTES, (i + 1) * HASH_BYTES];
  return {
    link,
    leaf: parseLeafHash(answer.leaves.subarray(start, end)),
    hash: answer.hashes.subarray(start, end),
    bodyHash: answer.bodyHashes.subarray(start, end),
  };
}

/** Undefined for one that was not read. */
function linkAt({ kinds, seqs, prevs }: ReceiptsAnswer, i: number, stream: string): StreamLink | undefined {
  const kind = RECEIPT_KINDS[kinds[i] ?? APART];
  if (kind === undefined) return undefined;
  return { kind, stream, seq: seqs[i] ?? 0, prev: prevs.slice(i * PREV_DIGITS, (i + 1) * PREV_DIGITS) };
}
