/**
 * Worker threads that read submissions for all logs of a process. Receipts that come while every thread is busy wait and
 * then go together, so that the busier the ledger is, the less each hand-over costs; a lone one goes at once. Threads start
 * with the first work they get; one that fails takes its work with it, and the next work starts another.
 */

import { Worker } from "node:worker_threads";
import { invariant, StoreError } from "../../kernel/errors.ts";
import { HASH_BYTES, parseLeafHash } from "../../kernel/merkle/hash.ts";
import { RECEIPT_KINDS } from "../../kernel/receipt/receipt.ts";
import { formatPublicKey } from "../../kernel/signature/public-key.ts";
import type { ReadReceipt, ReadSegment, ReceiptHashes, ReceiptSource } from "./read.ts";
import type { SubmissionReader } from "./reader.ts";
import {
  errorOf,
  HASHES_BYTES,
  type NewSource,
  type NewSources,
  type ReadingAnswer,
  type ReadingJob,
  type ReceiptsAnswer,
} from "./reading-job.ts";

/** Receipts that go to a thread at once: some milliseconds of its work. */
const JOB_RECEIPTS = 32;
/** Jobs in front of a thread: one that it does, one that it finds when that is done. */
const JOBS_A_THREAD = 2;
/** What may wait for a thread; above it is refused. */
const MAX_WAITING_BYTES = 64 * 1024 * 1024;
const MAX_WAITING = 32_768;

/** What this side of a worker thread uses of it. */
export interface ReadingThread {
  readonly on: Worker["on"];
  readonly ref: () => void;
  readonly unref: () => void;
  readonly postMessage: (job: ReadingJob, transfer: readonly ArrayBuffer[]) => void;
  readonly terminate: () => Promise<unknown>;
}

/** Somebody who waits for one submission to be read. */
interface Waiting<T> {
  readonly bytes: Uint8Array;
  readonly resolve: (read: T) => void;
  readonly reject: (error: Error) => void;
}

interface WaitingReceipt extends Waiting<ReadReceipt | undefined> {
  readonly source: ReceiptSource;
}

interface WaitingSegment extends Waiting<ReadSegment> {
  readonly source: ReceiptSource;
  readonly origin: string;
}

/** One job, and what takes its answer. */
interface Work {
  readonly take: (answer: ReadingAnswer) => void;
  readonly fail: (error: Error) => void;
}

/** How threads are made, and who hears of one that ends by itself. */
export interface ReadingThreads {
  /** At least one. */
  readonly count: number;
  readonly onFailure: (cause: unknown) => void;
  readonly start?: () => ReadingThread;
}

/** Makes a reader with threads; needs the compiled program. */
export function makeWorkerReader(threads: ReadingThreads): SubmissionReader {
  return new WorkerReader(threads);
}

function startThread(): ReadingThread {
  return new Worker(new URL("./reading-worker.js", import.meta.url));
}

class WorkerReader implements SubmissionReader {
  readonly #lanes: readonly Lane[];
  #receipts: WaitingReceipt[] = [];
  #segments: WaitingSegment[] = [];
  #waitingBytes = 0;
  #isScheduled = false;
  #isSegmentsTurn = true;

  constructor({ count, start = startThread, onFailure }: ReadingThreads) {
    invariant(count > 0, "makeWorkerReader: threads");
    this.#lanes = Array.from({ length: count }, () => new Lane(start, () => this.#dispatch(), onFailure));
  }

  receipt(bytes: Uint8Array, source: ReceiptSource): Promise<ReadReceipt | undefined> {
    return new Promise((resolve, reject) => {
      if (!this.#hasRoom(bytes, reject)) return;
      this.#receipts.push({ bytes, source, resolve, reject });
      this.#schedule();
    });
  }

  segment(bytes: Uint8Array, source: ReceiptSource, origin: string): Promise<ReadSegment> {
    return new Promise((resolve, reject) => {
      if (!this.#hasRoom(bytes, reject)) return;
      this.#segments.push({ bytes, source, origin, resolve, reject });
      this.#schedule();
    });
  }

  async close(): Promise<void> {
    await Promise.all(this.#lanes.map((lane) => lane.close()));
  }

  #hasRoom(bytes: Uint8Array, reject: (error: Error) => void): boolean {
    const count = this.#receipts.length + this.#segments.length;
    if (count >= MAX_WAITING || this.#waitingBytes + bytes.length > MAX_WAITING_BYTES) {
      reject(new StoreError("ERR_QUEUE_FULL", "too many submissions wait to be read"));
      return false;
    }
    this.#waitingBytes += bytes.length;
    return true;
  }

  /** Behind whatever else this turn of the event loop brings. */
  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.#dispatch();
    });
  }

  #dispatch(): void {
    while (this.#segments.length + this.#receipts.length > 0) {
      const lane = this.#lanes.reduce((best, each) => (each.jobs < best.jobs ? each : best));
      if (lane.jobs >= JOBS_A_THREAD) return;
      const segment = this.#isSegmentsTurn || this.#receipts.length === 0 ? this.#segments.shift() : undefined;
      // In turn, so that neither waits for ever while there is much of the other.
      this.#isSegmentsTurn = segment === undefined;
      if (segment === undefined) this.#sendReceipts(lane);
      else this.#sendSegment(lane, segment);
    }
  }

  #sendReceipts(lane: Lane): void {
    if (this.#receipts.length === 0) return;
    const receipts = this.#receipts.slice(0, JOB_RECEIPTS);
    this.#receipts = this.#receipts.slice(JOB_RECEIPTS);
    const total = receipts.reduce((sum, { bytes }) => sum + bytes.length, 0);
    this.#waitingBytes -= total;
    const joined = new Uint8Array(total);
    const ends = new Uint32Array(receipts.length);
    const sources = new Uint32Array(receipts.length);
    let end = 0;
    for (const [i, { bytes, source }] of receipts.entries()) {
      joined.set(bytes, end);
      end += bytes.length;
      ends[i] = end;
      sources[i] = lane.numberOf(source);
    }
    const fail = (error: Error): void => {
      for (const { reject } of receipts) reject(error);
    };
    const job = { kind: "receipts", newSources: lane.takeNewSources(), bytes: joined, ends, sources } as const;
    lane.send(job, [joined.buffer], {
      take: (answer) => takeReceipts(receipts, answer),
      fail,
    });
  }

  #sendSegment(lane: Lane, { bytes, source, origin, resolve, reject }: WaitingSegment): void {
    this.#waitingBytes -= bytes.length;
    const copy = new Uint8Array(bytes);
    const number = lane.numberOf(source);
    const job = { kind: "segment", newSources: lane.takeNewSources(), bytes: copy, source: number, origin } as const;
    lane.send(job, [copy.buffer], {
      take: (answer) => takeSegment({ resolve, reject }, answer),
      fail: reject,
    });
  }
}

function takeReceipts(receipts: readonly WaitingReceipt[], answer: ReadingAnswer): void {
  invariant(answer.kind === "receipts", "a reading thread answered receipts with something else");
  const { faults, kinds } = answer;
  let prevAt = 0;
  for (const [i, { resolve, reject, source }] of receipts.entries()) {
    const fault = faults.get(i);
    if (fault !== undefined) {
      reject(errorOf(fault));
      continue;
    }
    const kind = RECEIPT_KINDS[kinds[i] ?? -1];
    if (kind === undefined) {
      resolve(undefined);
      continue;
    }
    const prev = answer.prevs.slice(prevAt, prevAt + 2 * HASH_BYTES);
    prevAt += 2 * HASH_BYTES;
    resolve({ link: { kind, stream: source.stream, seq: answer.seqs[i] ?? 0, prev }, ...hashesAt(answer, i) });
  }
}

function takeSegment({ resolve, reject }: Pick<WaitingSegment, "resolve" | "reject">, answer: ReadingAnswer): void {
  if (answer.kind === "fault") {
    reject(errorOf(answer.fault));
    return;
  }
  invariant(answer.kind === "segment", "a reading thread answered a segment with something else");
  const { leaves, starts, ends, closes } = answer;
  resolve({ leaves, starts, ends, closes });
}

function hashesAt({ hashes }: ReceiptsAnswer, i: number): ReceiptHashes {
  const at = i * HASHES_BYTES;
  return {
    leaf: parseLeafHash(hashes.subarray(at, at + HASH_BYTES)),
    hash: hashes.subarray(at + HASH_BYTES, at + 2 * HASH_BYTES),
    bodyHash: hashes.subarray(at + 2 * HASH_BYTES, at + HASHES_BYTES),
  };
}

/** One thread, which answers in the order it was asked. */
class Lane {
  readonly #start: () => ReadingThread;
  readonly #onRoom: () => void;
  readonly #onFailure: (cause: unknown) => void;
  #thread: ReadingThread | undefined;
  readonly #works: Work[] = [];
  /** Numbers of the sources that the thread has, and the sources that go with the next job. */
  #numbers = new Map<ReceiptSource, number>();
  #newSources: NewSource[] = [];
  #isClosed = false;

  constructor(start: () => ReadingThread, onRoom: () => void, onFailure: (cause: unknown) => void) {
    this.#start = start;
    this.#onRoom = onRoom;
    this.#onFailure = onFailure;
  }

  /** Jobs under way. */
  get jobs(): number {
    return this.#works.length;
  }

  /** The number by which the next job names a source. */
  numberOf(source: ReceiptSource): number {
    const known = this.#numbers.get(source);
    if (known !== undefined) return known;
    const number = this.#numbers.size;
    this.#numbers.set(source, number);
    this.#newSources.push({ stream: source.stream, key: formatPublicKey(source.key) });
    return number;
  }

  /** Sources that the next job has to bring. */
  takeNewSources(): NewSources {
    const sources = this.#newSources;
    this.#newSources = [];
    return sources;
  }

  send(job: ReadingJob, transfer: readonly ArrayBuffer[], work: Work): void {
    if (this.#isClosed) {
      work.fail(failure(undefined));
      return;
    }
    this.#thread ??= this.#open();
    if (this.#works.length === 0) this.#thread.ref();
    this.#works.push(work);
    this.#thread.postMessage(job, transfer);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#thread?.terminate();
  }

  #open(): ReadingThread {
    const thread = this.#start();
    thread.on("message", (answer: ReadingAnswer) => {
      const work = this.#works.shift();
      // The process waits for a thread that has work, and for no other.
      if (this.#works.length === 0) thread.unref();
      invariant(work !== undefined, "a reading thread answered a job that nobody gave it");
      work.take(answer);
      this.#onRoom();
    });
    thread.on("error", (cause) => this.#lose(thread, cause));
    thread.on("exit", () => this.#lose(thread, undefined));
    return thread;
  }

  /** The next job starts another thread, which knows no sources. */
  #lose(thread: ReadingThread, cause: unknown): void {
    if (this.#thread !== thread) return;
    this.#thread = undefined;
    this.#numbers = new Map();
    this.#newSources = [];
    if (!this.#isClosed) this.#onFailure(cause);
    for (const { fail } of this.#works.splice(0)) fail(failure(cause));
    this.#onRoom();
  }
}

function failure(cause: unknown): StoreError {
  return new StoreError("ERR_LEDGER_STOPPED", "the thread that reads submissions is gone; try again", { cause });
}
