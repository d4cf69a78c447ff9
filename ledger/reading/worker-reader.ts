/**
 * Worker threads that read submissions for all logs of a process. Receipts that come while every thread is busy wait and
 * then go together, so that the busier the ledger is, the less each hand-over costs; a lone one goes at once. Threads start
 * with the first work they get; one that fails takes its work with it, and the next work starts another.
 */

import { Worker } from "node:worker_threads";
import { invariant, StoreError } from "../../kernel/errors.ts";
import { formatPublicKey } from "../../kernel/signature/public-key.ts";
import type { ReadReceipt, ReadReceipts, ReadSegment, ReceiptSource } from "./read.ts";
import type { SubmissionReader } from "./reader.ts";
import { errorOf } from "./reading-fault.ts";
import type { NewSource, NewSources, ReadingAnswer, ReadingJob } from "./reading-job.ts";
import { answeredReceipts } from "./receipts-answer.ts";

/** Receipts that a job has before it takes no more: some milliseconds of a thread's work. */
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

/** Somebody who waits for something to be read. */
interface Waiting<T> {
  readonly source: ReceiptSource;
  readonly resolve: (read: T) => void;
  readonly reject: (error: unknown) => void;
}

/** Receipts that came behind each other. */
interface WaitingReceipts extends Waiting<ReadReceipts> {
  readonly receipts: readonly Uint8Array[];
  /** Of all of them. */
  readonly bytes: number;
}

interface WaitingSegment extends Waiting<ReadSegment> {
  readonly bytes: Uint8Array;
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
  #receipts: WaitingReceipts[] = [];
  #segments: WaitingSegment[] = [];
  /** Receipts and segments, and their bytes. */
  #waiting = 0;
  #waitingBytes = 0;
  #isScheduled = false;
  #isSegmentsTurn = true;

  constructor({ count, start = startThread, onFailure }: ReadingThreads) {
    invariant(count > 0, "makeWorkerReader: threads");
    this.#lanes = Array.from({ length: count }, () => new Lane(start, () => this.#dispatch(), onFailure));
  }

  async receipt(bytes: Uint8Array, source: ReceiptSource): Promise<ReadReceipt | undefined> {
    return (await this.receipts([bytes], source)).at(0);
  }

  receipts(receipts: readonly Uint8Array[], source: ReceiptSource): Promise<ReadReceipts> {
    return new Promise((resolve, reject) => {
      const bytes = receipts.reduce((sum, { length }) => sum + length, 0);
      if (!this.#hasRoom(receipts.length, bytes, reject)) return;
      this.#receipts.push({ receipts, bytes, source, resolve, reject });
      this.#schedule();
    });
  }

  segment(bytes: Uint8Array, source: ReceiptSource, origin: string): Promise<ReadSegment> {
    return new Promise((resolve, reject) => {
      if (!this.#hasRoom(1, bytes.length, reject)) return;
      this.#segments.push({ bytes, source, origin, resolve, reject });
      this.#schedule();
    });
  }

  async close(): Promise<void> {
    await Promise.all(this.#lanes.map((lane) => lane.close()));
  }

  #hasRoom(count: number, bytes: number, reject: (error: Error) => void): boolean {
    if (this.#waiting + count > MAX_WAITING || this.#waitingBytes + bytes > MAX_WAITING_BYTES) {
      reject(new StoreError("ERR_QUEUE_FULL", "too many submissions wait to be read"));
      return false;
    }
    this.#waiting += count;
    this.#waitingBytes += bytes;
    return true;
  }

  #leave(count: number, bytes: number): void {
    this.#waiting -= count;
    this.#waitingBytes -= bytes;
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
    const all = this.#takeReceipts();
    const count = all.reduce((sum, { receipts }) => sum + receipts.length, 0);
    const total = all.reduce((sum, { bytes }) => sum + bytes, 0);
    this.#leave(count, total);
    // Not filled with zeros: all of it is written.
    const joined = new Uint8Array(Buffer.allocUnsafeSlow(total).buffer);
    const [ends, sources] = [new Uint32Array(count), new Uint32Array(count)];
    let [i, end] = [0, 0];
    for (const { receipts, source } of all) {
      const number = lane.numberOf(source);
      for (const bytes of receipts) {
        joined.set(bytes, end);
        end += bytes.length;
        ends[i] = end;
        sources[i] = number;
        i += 1;
      }
    }
    const job = { kind: "receipts", newSources: lane.takeNewSources(), bytes: joined, ends, sources } as const;
    const fail = (error: Error): void => {
      for (const { reject } of all) reject(error);
    };
    lane.send(job, [joined.buffer], { take: (answer) => takeReceipts(all, answer), fail });
  }

  /** As many as one job takes; what came together stays together. */
  #takeReceipts(): readonly WaitingReceipts[] {
    let [taken, count] = [0, 0];
    for (const { receipts } of this.#receipts) {
      if (count >= JOB_RECEIPTS) break;
      [taken, count] = [taken + 1, count + receipts.length];
    }
    const all = this.#receipts.slice(0, taken);
    this.#receipts = this.#receipts.slice(taken);
    return all;
  }

  #sendSegment(lane: Lane, { bytes, source, origin, resolve, reject }: WaitingSegment): void {
    this.#leave(1, bytes.length);
    const copy = new Uint8Array(bytes);
    const number = lane.numberOf(source);
    const job = { kind: "segment", newSources: lane.takeNewSources(), bytes: copy, source: number, origin } as const;
    lane.send(job, [copy.buffer], {
      take: (answer) => takeSegment({ resolve, reject }, answer),
      fail: reject,
    });
  }
}

function takeReceipts(all: readonly WaitingReceipts[], answer: ReadingAnswer): void {
  invariant(answer.kind === "receipts", "a reading thread answered receipts with something else");
  let from = 0;
  for (const { receipts, source, resolve } of all) {
    resolve(answeredReceipts(answer, from, receipts.length, source));
    from += receipts.length;
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
