/**
 * Spreads checks of entries over worker threads. Signatures are what fsck spends its time on, and they need no order:
 * each worker answers its jobs in turn, and the caller joins the answers in the order of the log.
 */

import { Worker } from "node:worker_threads";
import { invariant, StoreError } from "../../kernel/errors.ts";
import { type AdmittedJob, type AdmittedVerdict, checkAdmitted } from "../checks/admitted-check.ts";
import { type CheckedLog, EntryChecker, type EntryJob, type EntryVerdict, type KnownStream } from "./entry-check.ts";

/** Checks stretches of the log. */
export interface JobPool<Job, Verdict> {
  /** Makes a stream's keys known to every later job. */
  readonly addStream: (stream: KnownStream) => void;
  /** Checks a job; the streams known so far are added to it. */
  readonly check: (job: Omit<Job, "streams">) => Promise<Verdict>;
  /** Jobs that may be under way at the same time without one waiting for memory. */
  readonly width: number;
  readonly close: () => Promise<void>;
}

/** Checks entries for `fsck`. */
export type CheckPool = JobPool<EntryJob, EntryVerdict>;

/** Checks what segments brought in. */
export type AdmittedPool = JobPool<AdmittedJob, AdmittedVerdict>;

/** What a worker is started with. */
export type CheckSetting = {
  readonly log: CheckedLog;
  /** Whether it checks what segments brought in, and leaves the processors to others who want them. */
  readonly isBackground: boolean;
};

/** Jobs in front of each worker; in the background one, so that whoever comes waits for no more than what it has begun. */
const [JOBS_A_WORKER, BACKGROUND_JOBS_A_WORKER] = [4, 1];

/**
 * @param log  streams must have it as their home, expiries its operator's signature
 * @param workers  threads; 0 checks on the calling thread. Threads need the compiled program.
 */
export function makeCheckPool(log: CheckedLog, workers: number): CheckPool {
  if (workers > 0) return new WorkerPool({ log, isBackground: false }, workers);
  const checker = new EntryChecker(log);
  return inlinePool((job, streams) => checker.check({ ...job, streams }));
}

/** As `makeCheckPool`, for the background checks. */
export function makeAdmittedPool(log: CheckedLog, workers: number): AdmittedPool {
  if (workers > 0) return new WorkerPool({ log, isBackground: true }, workers);
  const checker = new EntryChecker(log);
  return inlinePool((job, streams) => checkAdmitted(checker, { ...job, streams }));
}

function inlinePool<Job, Verdict>(
  check: (job: Omit<Job, "streams">, streams: readonly KnownStream[]) => Verdict,
): JobPool<Job, Verdict> {
  let fresh: KnownStream[] = [];
  return {
    width: 1,
    addStream: (stream) => void fresh.push(stream),
    check: (job) => {
      const streams = fresh;
      fresh = [];
      return Promise.resolve(check(job, streams));
    },
    close: () => Promise.resolve(),
  };
}

class WorkerPool<Job, Verdict> implements JobPool<Job, Verdict> {
  readonly width: number;
  readonly #lanes: readonly Lane<Job, Verdict>[];
  readonly #streams: KnownStream[] = [];

  constructor(setting: CheckSetting, workers: number) {
    this.width = workers * (setting.isBackground ? BACKGROUND_JOBS_A_WORKER : JOBS_A_WORKER);
    this.#lanes = Array.from({ length: workers }, () => new Lane(setting, this.#streams));
  }

  addStream(stream: KnownStream): void {
    this.#streams.push(stream);
  }

  check(job: Omit<Job, "streams">): Promise<Verdict> {
    const lane = this.#lanes.reduce((best, each) => (each.waiting < best.waiting ? each : best));
    return lane.ask(job);
  }

  async close(): Promise<void> {
    await Promise.all(this.#lanes.map((lane) => lane.close()));
  }
}

/** One worker, started with its first job, which answers in the order it was asked. */
class Lane<Job, Verdict> {
  readonly #setting: CheckSetting;
  readonly #streams: readonly KnownStream[];
  #worker: Worker | undefined;
  /** Why the worker is gone; whoever asks it afterwards would wait for ever. */
  #gone: StoreError | undefined;
  readonly #open: { resolve: (verdict: Verdict) => void; reject: (error: Error) => void }[] = [];
  #told = 0;

  constructor(setting: CheckSetting, streams: readonly KnownStream[]) {
    this.#setting = setting;
    this.#streams = streams;
  }

  get waiting(): number {
    return this.#open.length;
  }

  ask(job: Omit<Job, "streams">): Promise<Verdict> {
    if (this.#gone !== undefined) return Promise.reject(this.#gone);
    this.#worker ??= this.#start();
    const worker = this.#worker;
    const streams = this.#streams.slice(this.#told);
    this.#told = this.#streams.length;
    return new Promise((resolve, reject) => {
      this.#open.push({ resolve, reject });
      worker.postMessage({ ...job, streams });
    });
  }

  async close(): Promise<void> {
    this.#gone ??= new StoreError("ERR_BUG", "the checking worker was closed");
    await this.#worker?.terminate();
  }

  #start(): Worker {
    const url = new URL("./check-worker.js", import.meta.url);
    const worker = new Worker(url, { workerData: JSON.stringify(this.#setting) });
    worker.on("message", (verdict: Verdict) => {
      const asked = this.#open.shift();
      invariant(asked !== undefined, "a checking worker answered a job that nobody gave it");
      asked.resolve(verdict);
    });
    worker.on("error", (cause) => this.#fail(cause));
    worker.on("exit", () => this.#fail(undefined));
    return worker;
  }

  #fail(cause: unknown): void {
    this.#gone ??= new StoreError("ERR_BUG", "a checking worker failed", { cause });
    for (const { reject } of this.#open.splice(0)) reject(this.#gone);
  }
}
