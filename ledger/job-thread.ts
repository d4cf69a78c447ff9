/**
 * A thread that does one job after the other for all logs of the process. It starts with the first job, keeps the process
 * alive while a job is open and no longer, and starts anew if it ended.
 */

import { parentPort, type Worker } from "node:worker_threads";
import { FormatError, invariant, StoreError } from "../kernel/errors.ts";

/** What this side of a worker thread uses of it. */
export type JobWorker = Pick<Worker, "on" | "ref" | "unref" | "postMessage">;

/** What the thread answers, in the order of the jobs. */
export type JobAnswer =
  | { readonly kind: "done"; readonly value: unknown }
  | { readonly kind: "damaged"; readonly message: string }
  | { readonly kind: "failed"; readonly message: string };

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** This side of it. */
export class JobThread<Job> {
  readonly #start: () => JobWorker;
  #worker: JobWorker | undefined;
  #waiting: Waiting[] = [];

  constructor(start: () => JobWorker) {
    this.#start = start;
  }

  /**
   * Resolves once the job is done, to what came of it.
   *
   * @throws {FormatError} ERR_INDEX_ROW if it met damage
   * @throws {StoreError} ERR_STORE_WRITE, fatal, if it failed or the thread ended
   */
  ask(job: Job): Promise<unknown> {
    this.#worker ??= this.#open();
    const worker = this.#worker;
    if (this.#waiting.length === 0) worker.ref();
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      worker.postMessage(job);
    });
  }

  #open(): JobWorker {
    const worker = this.#start();
    worker.on("message", (answer: JobAnswer) => this.#settle(worker, answer));
    worker.on("error", (cause) => this.#end(worker, cause));
    worker.on("exit", () => this.#end(worker, undefined));
    return worker;
  }

  #settle(worker: JobWorker, answer: JobAnswer): void {
    const waiting = this.#waiting.shift();
    if (this.#waiting.length === 0) worker.unref();
    if (answer.kind === "done") waiting?.resolve(answer.value);
    else if (answer.kind === "damaged") waiting?.reject(new FormatError("ERR_INDEX_ROW", answer.message));
    else waiting?.reject(new StoreError("ERR_STORE_WRITE", answer.message, { fatal: true }));
  }

  /** The thread is gone, and with it whatever it was told. */
  #end(worker: JobWorker, cause: unknown): void {
    // An error is followed by an exit, and the next thread may be at work by then.
    if (this.#worker !== worker) return;
    const waiting = this.#waiting;
    [this.#worker, this.#waiting] = [undefined, []];
    for (const { reject } of waiting) {
      reject(new StoreError("ERR_STORE_WRITE", "a thread that writes files ended", { cause, fatal: true }));
    }
  }
}

/** The other side: does each job as it comes. @param run  throws what makes the job fail */
export function serveJobs<Job>(run: (job: Job) => unknown): void {
  const port = parentPort;
  invariant(port !== null, "jobs are served in a worker thread");
  port.on("message", (job: Job) => port.postMessage(answerOf(() => run(job))));
}

function answerOf(run: () => unknown): JobAnswer {
  try {
    return { kind: "done", value: run() };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const isDamage = error instanceof FormatError && error.code === "ERR_INDEX_ROW";
    return { kind: isDamage ? "damaged" : "failed", message };
  }
}
