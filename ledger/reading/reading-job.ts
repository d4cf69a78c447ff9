/**
 * What goes to a reading thread and comes back. Receipts go many at a time, bytes and hashes each in one buffer that changes
 * hands, so that a message costs what its bytes cost and not what its objects would.
 */

import { concatAll } from "../../kernel/bytes.ts";
import type { ErrorCode } from "../../kernel/error-codes.ts";
import { BugError, CheckError, FormatError, invariant, isCodedError } from "../../kernel/errors.ts";
import { HASH_BYTES } from "../../kernel/merkle/hash.ts";
import { type PublicKey, type PublicKeyJson, publicKeyShape } from "../../kernel/signature/public-key.ts";
import { type ReadReceipt, readReceipt, readSegmentBytes } from "./read.ts";

/** A key that the thread has not seen; its number is how many it has. */
export type NewKeys = readonly PublicKeyJson[];

/** Work for a thread. */
export type ReadingJob =
  | {
      readonly kind: "receipts";
      readonly newKeys: NewKeys;
      /** The receipts, one behind the other. */
      readonly bytes: Uint8Array;
      /** Where each one ends. */
      readonly ends: Uint32Array;
      /** Number of each one's key. */
      readonly keys: Uint32Array;
    }
  | {
      readonly kind: "segment";
      readonly newKeys: NewKeys;
      readonly bytes: Uint8Array;
      readonly key: number;
      readonly stream: string;
      readonly origin: string;
    };

/** What is wrong with a submission. */
export interface ReadingFault {
  readonly type: "format" | "check" | "bug";
  readonly code: ErrorCode;
  readonly message: string;
}

/** The answer to a job. */
export type ReadingAnswer =
  /** For each receipt leaf hash, receipt hash and body hash; `faults` by the receipt's place in the job. */
  | { readonly kind: "receipts"; readonly hashes: Uint8Array; readonly faults: ReadonlyMap<number, ReadingFault> }
  | { readonly kind: "segment"; readonly leaves: Uint8Array; readonly closes: boolean }
  | { readonly kind: "fault"; readonly fault: ReadingFault };

/** Bytes of an answer for each receipt. */
export const ANSWER_BYTES: number = 3 * HASH_BYTES;

/** Does the jobs of one thread. */
export class JobRunner {
  readonly #keys: PublicKey[] = [];

  /** Does one job; faults of what was submitted are data. */
  run(job: ReadingJob): ReadingAnswer {
    for (const key of job.newKeys) this.#keys.push(publicKeyShape.read(key, "key"));
    if (job.kind === "receipts") return this.#readReceipts(job);
    const { bytes, key, stream, origin } = job;
    const read = attempt(() => readSegmentBytes(bytes, { stream, origin, key: this.#key(key) }));
    if ("fault" in read) return { kind: "fault", fault: read.fault };
    return { kind: "segment", leaves: concatAll(read.value.leaves), closes: read.value.closes };
  }

  #readReceipts({ bytes, ends, keys }: ReadingJob & { readonly kind: "receipts" }): ReadingAnswer {
    const hashes = new Uint8Array(ends.length * ANSWER_BYTES);
    const faults = new Map<number, ReadingFault>();
    let start = 0;
    for (const [i, end] of ends.entries()) {
      const read = attempt(() => readReceipt(bytes.subarray(start, end), this.#key(keys[i] ?? -1)));
      start = end;
      if ("fault" in read) faults.set(i, read.fault);
      else putHashes(hashes, i * ANSWER_BYTES, read.value);
    }
    return { kind: "receipts", hashes, faults };
  }

  #key(number: number): PublicKey {
    const key = this.#keys[number];
    invariant(key !== undefined, `a reading thread was not told its key ${number}`);
    return key;
  }
}

/** The fault as it was thrown in the thread. */
export function errorOf({ type, code, message }: ReadingFault): Error {
  if (type === "bug") return new BugError(message);
  return type === "format" ? new FormatError(code, message) : new CheckError(code, message);
}

function putHashes(to: Uint8Array, at: number, { leaf, hash, bodyHash }: ReadReceipt): void {
  to.set(leaf, at);
  to.set(hash, at + HASH_BYTES);
  to.set(bodyHash, at + 2 * HASH_BYTES);
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
