/**
 * Checks the entries of one stretch of the log: form, signatures, and how the receipts of a stream follow each other
 * inside the stretch; entries of other forms by their own rules (other-check.ts). It needs nothing but the entries and the keys of the streams, so it runs in any thread; what it returns
 * is small, and lets the caller join the stretches.
 */

import type { ErrorCode } from "../../kernel/error-codes.ts";
import { CheckError, isCodedError } from "../../kernel/errors.ts";
import { formatHex, parseHex } from "../../kernel/hex.ts";
import { publicKeyJsonShape } from "../../kernel/receipt/fields.ts";
import { receiptHash, type StreamReceipt } from "../../kernel/receipt/receipt.ts";
import { readSignedReceipt, type SignedForm } from "../../kernel/receipt/signed-form.ts";
import { object, optional, type Shape, string } from "../../kernel/shape.ts";
import { type PublicKey, type PublicKeyJson, parseKid, publicKeyShape } from "../../kernel/signature/public-key.ts";
import { readStreamKeys, type StreamKeys } from "../../kernel/stream/stream-keys.ts";
import { checkReceiptSignature, nextStreamState, type StreamState } from "../../kernel/stream/stream-state.ts";
import { parseEntryBundle } from "../../kernel/tile/entry-bundle.ts";
import type { NamedKeys } from "../admission/stream-account.ts";
import { checkOtherEntry } from "./other-check.ts";

/** A stream and the keys that it was registered with. */
export interface KnownStream {
  readonly stream: string;
  readonly keys: NamedKeys;
}

/** Entries to check. */
export interface EntryJob {
  /** Index of the first entry. */
  readonly firstIndex: number;
  /** 1 to 256 entries in the form of an entry bundle. */
  readonly bundle: Uint8Array;
  readonly count: number;
  /** Places that hold something else than a receipt. */
  readonly skip: readonly number[];
  /** Places whose entries are not there. */
  readonly holes: readonly number[];
  /** Streams registered since the last job of this checker. */
  readonly streams: readonly KnownStream[];
}

/** Receipts of one stream that follow each other, in the stream and in the log. */
export interface Run {
  readonly stream: string;
  readonly firstIndex: number;
  readonly firstSeq: number;
  readonly count: number;
  /** What the first one names as the hash before it. */
  readonly prev: string | undefined;
  /** Receipt hash of the last one, in hexadecimal. */
  readonly last: string;
  /** Whether the last one closes the stream. */
  readonly closed: boolean;
  /** True if what the first one continues was judged in the stretch, or cannot be judged behind a hole. */
  readonly isPlaced: boolean;
}

/** A receipt that is wrong by itself, or that does not follow the one before it in the stretch. */
export interface EntryFault {
  readonly index: number;
  readonly code: ErrorCode;
  readonly message: string;
}

/** What came of a job. */
export interface EntryVerdict {
  readonly runs: readonly Run[];
  readonly faults: readonly EntryFault[];
  /** Places of sound entries that are no receipts: statements, trust records, reservations and their like. */
  readonly others: readonly number[];
  /** True if an entry is missing or cannot be read at all: it may be of any stream. */
  readonly hasHole: boolean;
}

/** The log, as far as a checker must know it; plain data, to go to other threads. */
export type CheckedLog = {
  readonly origin: string;
  /** Operator's key of the genesis entry; absent if that cannot be read. */
  readonly operator_key?: PublicKeyJson;
};

/** Shape of `CheckedLog`. */
export const checkedLogShape: Shape<CheckedLog> = object<CheckedLog>({
  origin: string(),
  operator_key: optional(publicKeyJsonShape),
});

/** Checks jobs; remembers the keys of the streams. */
export class EntryChecker {
  readonly #origin: string;
  readonly #operator: PublicKey | undefined;
  readonly #keys = new Map<string, StreamKeys>();

  constructor({ origin, operator_key }: CheckedLog) {
    this.#origin = origin;
    this.#operator = operator_key === undefined ? undefined : publicKeyShape.read(operator_key, "operator_key");
  }

  /** Takes the keys of streams. */
  learn(streams: readonly KnownStream[]): void {
    for (const { stream, keys } of streams) this.#keys.set(stream, readStreamKeys(keys));
  }

  /** True if it has the keys of the stream. */
  knows(stream: string): boolean {
    return this.#keys.has(stream);
  }

  /** Checks one job; faults of entries are data, nothing is thrown for them. */
  check(job: EntryJob): EntryVerdict {
    this.learn(job.streams);
    const stretch = new Stretch(job.firstIndex);
    const [skip, holes] = [new Set(job.skip), new Set(job.holes)];
    for (const [i, bytes] of parseEntryBundle(job.bundle, job.count).entries()) {
      if (holes.has(i)) stretch.hasHole = true;
      else if (!skip.has(i)) this.#checkEntry(stretch, i, bytes);
    }
    const { runs, faults, others, hasHole } = stretch;
    return { runs, faults, others, hasHole };
  }

  #checkEntry(stretch: Stretch, place: number, bytes: Uint8Array): void {
    const form = stretch.attempt(place, () => this.#readReceipt(stretch, place, bytes));
    if (form === undefined) {
      stretch.hasHole = true;
      return;
    }
    if (form === "other") return;
    const { receipt } = form;
    const keys = this.#keys.get(receipt.stream);
    if (keys === undefined) {
      stretch.refuse(place, "ERR_STREAM_UNKNOWN", "the stream is not registered before it");
      return;
    }
    const before = stretch.find(receipt.stream);
    const state = stretch.attempt(place, () => this.#step(before, form, bytes, keys));
    // Behind a false receipt the stream goes on from what it claims, so that each fault is told once.
    stretch.add(place, receipt, state ?? followed(receipt, bytes, keys), before === undefined && state !== undefined);
  }

  /** A receipt; `other` for an entry of another form, whose fault is of no stream and leaves no hole. */
  #readReceipt(stretch: Stretch, place: number, bytes: Uint8Array): SignedForm | "other" {
    try {
      return readSignedReceipt(bytes);
    } catch (error) {
      if (!isCodedError(error)) throw error;
      const keysOf = (stream: string): StreamKeys | undefined => this.#keys.get(stream);
      const parts = { origin: this.#origin, operator: this.#operator, keysOf };
      const isOther = stretch.attempt(place, () => checkOtherEntry(bytes, parts));
      if (isOther === false) throw error;
      if (isOther === true) stretch.others.push(place);
      return "other";
    }
  }

  /** @param before  state by this stretch; undefined if the receipt is the stream's first in it */
  #step(before: StreamState | undefined, form: SignedForm, bytes: Uint8Array, keys: StreamKeys): StreamState {
    const { receipt, bodyHash } = form;
    if (receipt.kind === "stream-open") return this.#open(before, receipt, bytes, keys);
    checkReceiptSignature(keys, receipt, bodyHash);
    return nextStreamState(before ?? claimedState(receipt, keys), receipt, bytes);
  }

  #open(before: StreamState | undefined, receipt: StreamReceipt, bytes: Uint8Array, keys: StreamKeys): StreamState {
    const state = nextStreamState(undefined, receipt, bytes);
    if (state.keys.receipt.kid !== keys.receipt.kid) {
      throw new CheckError("ERR_STREAM_KEY", "the stream opens with other keys than it was registered with");
    }
    if (state.log !== this.#origin) throw new CheckError("ERR_ADMISSION", `log: want ${this.#origin}`);
    if (before !== undefined) throw new CheckError("ERR_STREAM_FORK", "the stream was opened before");
    return { ...state, keys };
  }
}

/** The state that a receipt says it continues; whether that is so is for the caller to see. */
function claimedState(receipt: StreamReceipt, keys: StreamKeys): StreamState {
  const last = parseHex(receipt.prev ?? "", 32);
  return { stream: parseKid(receipt.stream), log: "", keys, nextSeq: receipt.seq, last, closed: false };
}

/** The state behind a receipt by its own word. */
function followed(receipt: StreamReceipt, bytes: Uint8Array, keys: StreamKeys): StreamState {
  const { seq, kind } = receipt;
  const stream = parseKid(receipt.stream);
  return { stream, log: "", keys, nextSeq: seq + 1, last: receiptHash(bytes), closed: kind === "stream-close" };
}

/** Gathers the runs of a stretch. */
class Stretch {
  readonly runs: Run[] = [];
  readonly faults: EntryFault[] = [];
  readonly others: number[] = [];
  hasHole = false;
  readonly #firstIndex: number;
  readonly #states = new Map<string, StreamState>();

  constructor(firstIndex: number) {
    this.#firstIndex = firstIndex;
  }

  find(stream: string): StreamState | undefined {
    return this.#states.get(stream);
  }

  /** The result of `step`, or undefined and a fault. */
  attempt<T>(place: number, step: () => T): T | undefined {
    try {
      return step();
    } catch (error) {
      if (!isCodedError(error)) throw error;
      this.refuse(place, error.code, error.message);
      return undefined;
    }
  }

  refuse(place: number, code: ErrorCode, message: string): void {
    this.faults.push({ index: this.#firstIndex + place, code, message });
  }

  /** @param isOpen  whether nobody has judged yet what the receipt continues */
  add(place: number, receipt: StreamReceipt, state: StreamState, isOpen: boolean): void {
    const index = this.#firstIndex + place;
    this.#states.set(receipt.stream, state);
    const tail = { last: formatHex(state.last), closed: state.closed };
    const run = this.runs.at(-1);
    const isNext = run?.stream === receipt.stream && run.firstIndex + run.count === index;
    if (isNext && run.firstSeq + run.count === receipt.seq) {
      this.runs[this.runs.length - 1] = { ...run, ...tail, count: run.count + 1 };
      return;
    }
    const { stream, seq: firstSeq, prev } = receipt;
    const isPlaced = !isOpen || this.hasHole;
    this.runs.push({ stream, firstIndex: index, firstSeq, count: 1, prev, ...tail, isPlaced });
  }
}
