/**
 * What goes to a reading thread and comes back. Receipts go many at a time, bytes and hashes each in one buffer that changes
 * hands, so that a message costs what its bytes cost and not what its objects would.
 */

import type { ErrorCode } from "../../kernel/error-codes.ts";
import { BugError, CheckError, FormatError, invariant, isCodedError } from "../../kernel/errors.ts";
import { HASH_BYTES } from "../../kernel/merkle/hash.ts";
import { RECEIPT_KINDS } from "../../kernel/receipt/receipt.ts";
import { type PublicKeyJson, publicKeyShape } from "../../kernel/signature/public-key.ts";
import { type ReadReceipt, type ReadSegment, type ReceiptSource, readReceipt, readSegmentBytes } from "./read.ts";

/** A stream and its receipt key. */
export interface NewSource {
  readonly stream: string;
  readonly key: PublicKeyJson;
}

/** Sources that the thread has not seen; the number of each is how many it has. */
export type NewSources = readonly NewSource[];

/** Work for a thread. */
export type ReadingJob =
  | {
      readonly kind: "receipts";
      readonly newSources: NewSources;
      /** The receipts, one behind the other. */
      readonly bytes: Uint8Array;
      /** Where each one ends. */
      readonly ends: Uint32Array;
      /** Number of each one's source. */
      readonly sources: Uint32Array;
    }
  | {
      readonly kind: "segment";
      readonly newSources: NewSources;
      readonly bytes: Uint8Array;
      /** Number of its source. */
      readonly source: number;
      readonly origin: string;
    };

/** What is wrong with a submission. */
export interface ReadingFault {
  readonly type: "format" | "check" | "bug";
  readonly code: ErrorCode;
  readonly message: string;
}

/** The answer to a job. */
export type ReadingAnswer = ReceiptsAnswer | SegmentAnswer | { readonly kind: "fault"; readonly fault: ReadingFault };

/** What was read of a segment. */
export interface SegmentAnswer extends ReadSegment {
  readonly kind: "segment";
}

/** What was read of the receipts of a job, each at its place. */
export interface ReceiptsAnswer {
  readonly kind: "receipts";
  /** Leaf hash, receipt hash and body hash of each. */
  readonly hashes: Uint8Array;
  /** Number of each one's kind in `RECEIPT_KINDS`; `APART` of one that is not of its source or opens the stream. */
  readonly kinds: Uint8Array;
  readonly seqs: Float64Array;
  /** What each names as the hash before it, one behind the other, of those that are not apart and have no fault. */
  readonly prevs: string;
  readonly faults: ReadonlyMap<number, ReadingFault>;
}

/** Kind of a receipt that was not read, by `ReceiptsAnswer.kinds`. */
export const APART = 255;

/** Bytes of the hashes of each receipt. */
export const HASHES_BYTES: number = 3 * HASH_BYTES;

/** Does the jobs of one thread. */
export class JobRunner {
  readonly #sources: ReceiptSource[] = [];

  /** Does one job; faults of what was submitted are data. */
  run(job: ReadingJob): ReadingAnswer {
    for (const { stream, key } of job.newSources) {
      this.#sources.push({ stream, key: publicKeyShape.read(key, "key") });
    }
    if (job.kind === "receipts") return this.#readReceipts(job);
    const { bytes, source, origin } = job;
    const read = attempt(() => readSegmentBytes(bytes, this.#source(source), origin));
    if ("fault" in read) return { kind: "fault", fault: read.fault };
    return { kind: "segment", ...read.value };
  }

  #readReceipts({ bytes, ends, sources }: ReadingJob & { readonly kind: "receipts" }): ReceiptsAnswer {
    const answer = new GrowingAnswer(ends.length);
    let start = 0;
    for (const [i, end] of ends.entries()) {
      const read = attempt(() => readReceipt(bytes.subarray(start, end), this.#source(sources[i] ?? -1)));
      start = end;
      if ("fault" in read) answer.faults.set(i, read.fault);
      else if (read.value !== undefined) answer.put(i, read.value);
    }
    return answer.whole();
  }

  #source(number: number): ReceiptSource {
    const source = this.#sources[number];
    invariant(source !== undefined, `a reading thread was not told its source ${number}`);
    return source;
  }
}

/** Gathers what is read; mutable. */
class GrowingAnswer {
  readonly faults = new Map<number, ReadingFault>();
  readonly #hashes: Uint8Array;
  readonly #kinds: Uint8Array;
  readonly #seqs: Float64Array;
  #prevs = "";

  constructor(count: number) {
    this.#hashes = new Uint8Array(count * HASHES_BYTES);
    this.#kinds = new Uint8Array(count).fill(APART);
    this.#seqs = new Float64Array(count);
  }

  /** Takes a receipt that is not the first of its stream. */
  put(i: number, { link, leaf, hash, bodyHash }: ReadReceipt): void {
    const at = i * HASHES_BYTES;
    this.#hashes.set(leaf, at);
    this.#hashes.set(hash, at + HASH_BYTES);
    this.#hashes.set(bodyHash, at + 2 * HASH_BYTES);
    this.#kinds[i] = RECEIPT_KINDS.indexOf(link.kind);
    this.#seqs[i] = link.seq;
    this.#prevs += link.prev ?? "";
  }

  whole(): ReceiptsAnswer {
    const [hashes, kinds, seqs] = [this.#hashes, this.#kinds, this.#seqs];
    return { kind: "receipts", hashes, kinds, seqs, prevs: this.#prevs, faults: this.faults };
  }
}

/** The fault as it was thrown in the thread. */
export function errorOf({ type, code, message }: ReadingFault): Error {
  if (type === "bug") return new BugError(message);
  return type === "format" ? new FormatError(code, message) : new CheckError(code, message);
}

type Attempt<T> = { readonly value: T } | { readonly fault: ReadingFault };

/** Nothing that is submitted may end the thread. */
function attempt<T>(read: () => T): Attempt<T> {
  try {
    return { value: read() };
  } catch (error) {
    const { message } = error instanceof Error ? error : { message: "not an error" };
    if (!isCodedError(error)) return { fault: { type: "bug", code: "ERR_BUG", message } };
    const { code } = error;
    if (error instanceof FormatError) return { fault: { type: "format", code, message } };
    return { fault: { type: error instanceof CheckError ? "check" : "bug", code, message } };
  }
}
