/**
 * Reads the leaves of a log in a thread of its own, of low priority: at some millions of them this takes seconds, in which the
 * serving thread has better to do. Needs the compiled program.
 */

import { Worker } from "node:worker_threads";
import type { FilterPart } from "./leaf-filter.ts";
import type { FullTileLeaves, LeavesReader } from "./log-leaves.ts";

/** What the thread is given. */
export interface LeavesJob extends FullTileLeaves {
  readonly dataDir: string;
}

/** What the thread answers, once: words of the part, in shared memory. */
export interface LeavesAnswer {
  readonly words: Uint32Array | undefined;
}

/** What this side of a worker thread uses of it. */
export type LeavesThread = Pick<Worker, "on" | "unref" | "terminate">;

/** Reads the tiles below `dataDir`. A thread that fails gives nothing. */
export function readInThread(dataDir: string, start: (job: LeavesJob) => LeavesThread = startThread): LeavesReader {
  return (leaves, signal) => {
    const thread = start({ ...leaves, dataDir });
    thread.unref();
    const answered = new Promise<FilterPart | undefined>((resolve) => {
      thread.on("message", ({ words }: LeavesAnswer) => resolve(words === undefined ? undefined : { words, left: 0 }));
      thread.on("error", () => resolve(undefined));
      thread.on("exit", () => resolve(undefined));
      signal.addEventListener("abort", () => resolve(undefined));
      if (signal.aborted) resolve(undefined);
    });
    return answered.finally(() => void thread.terminate());
  };
}

function startThread(job: LeavesJob): LeavesThread {
  return new Worker(new URL("./leaves-worker.js", import.meta.url), { workerData: job });
}
