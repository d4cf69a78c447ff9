/**
 * Who makes leaf tables: a thread of its own, since sorting and merging would hold up the serving thread, or the calling thread
 * where only sources are at hand.
 */

import { Worker } from "node:worker_threads";
import { FormatError, StoreError } from "../../kernel/errors.ts";
import { type BuildJob, buildTable, type MergeJob, mergeTables } from "./table-writer.ts";

/** Makes tables; each call resolves once the table is durable. */
export interface TableMaker {
  readonly build: (job: BuildJob) => Promise<void>;
  /** @throws {FormatError} ERR_INDEX_ROW if a part is damaged */
  readonly merge: (job: MergeJob) => Promise<void>;
  readonly close: () => Promise<void>;
}

/** What the thread is told. */
export type TableJob = ({ readonly kind: "build" } & BuildJob) | ({ readonly kind: "merge" } & MergeJob);

/** What the thread answers, in the order of the jobs. */
export type TableAnswer =
  | { readonly kind: "made" }
  | { readonly kind: "damaged" }
  | { readonly kind: "failed"; readonly message: string };

/** What this side of a worker thread uses of it. */
export type TableThread = Pick<Worker, "on" | "unref" | "terminate" | "postMessage">;

/** Makes tables on the calling thread. */
export function makeInlineTableMaker(): TableMaker {
  return {
    build: async (job) => buildTable(job),
    merge: async (job) => mergeTables(job),
    close: () => Promise.resolve(),
  };
}

/** Makes tables in a thread that starts with the first one. Needs the compiled program. */
export function makeTableMaker(start: () => TableThread = startThread): TableMaker {
  return new ThreadMaker(start);
}

function startThread(): TableThread {
  return new Worker(new URL("./table-worker.js", import.meta.url));
}

interface Waiting {
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

class ThreadMaker implements TableMaker {
  readonly #start: () => TableThread;
  #thread: TableThread | undefined;
  #waiting: Waiting[] = [];

  constructor(start: () => TableThread) {
    this.#start = start;
  }

  build(job: BuildJob): Promise<void> {
    return this.#ask({ ...job, kind: "build" });
  }

  merge(job: MergeJob): Promise<void> {
    return this.#ask({ ...job, kind: "merge" });
  }

  async close(): Promise<void> {
    await this.#thread?.terminate();
  }

  #ask(job: TableJob): Promise<void> {
    this.#thread ??= this.#open();
    const thread = this.#thread;
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      thread.postMessage(job);
    });
  }

  #open(): TableThread {
    const thread = this.#start();
    thread.unref();
    thread.on("message", (answer: TableAnswer) => this.#settle(answer));
    thread.on("error", (cause) => this.#fail(cause));
    thread.on("exit", () => this.#fail(undefined));
    return thread;
  }

  #settle(answer: TableAnswer): void {
    const waiting = this.#waiting.shift();
    if (answer.kind === "made") waiting?.resolve();
    else if (answer.kind === "damaged") waiting?.reject(new FormatError("ERR_INDEX_ROW", "a leaf table is damaged"));
    else waiting?.reject(new StoreError("ERR_STORE_WRITE", answer.message, { fatal: true }));
  }

  /** The thread is gone, and with it whatever it was told. */
  #fail(cause: unknown): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { reject } of waiting) {
      reject(new StoreError("ERR_STORE_WRITE", "the thread that makes leaf tables ended", { cause, fatal: true }));
    }
  }
}
