/**
 * Whether what is written has the leaf hashes that were admitted, found from the written bytes. Of large batches a thread finds
 * it, which all logs of the process share, while the disk takes them: the serving thread hashes each entry once.
 */

import { Worker } from "node:worker_threads";
import { areLeavesOf, type EntryRanges, type LeafHashes } from "../../kernel/merkle/hash.ts";
import { JobThread } from "../job-thread.ts";

/** True if `leaves` are the leaf hashes of `written`, as many and in their order. */
export type LeafCheck = (leaves: LeafHashes, written: EntryRanges) => boolean | Promise<boolean>;

/** What the thread is asked; the bytes are in memory that it shares. */
export interface LeafJob {
  readonly leaves: LeafHashes;
  readonly written: EntryRanges;
}

/** Below, telling a thread costs as much as the hashes. */
const LEAST_ENTRIES = 128;

const shared = new JobThread<LeafJob>(() => new Worker(new URL("./leaf-check-worker.js", import.meta.url)));

/** The check with a thread. Needs the compiled program. */
export function makeThreadCheck(): LeafCheck {
  return checkWith(async (job) => (await shared.ask(job)) === true);
}

/**
 * The check with a thread that is asked by `ask`. Until it has answered once nobody waits for it: it may have to start.
 *
 * @returns rejects as `ask` does
 */
export function checkWith(ask: (job: LeafJob) => Promise<boolean>): LeafCheck {
  let state: "idle" | "starting" | "ready" = "idle";
  const begin = (job: LeafJob): void => {
    state = "starting";
    void ask(job).then(
      () => {
        state = "ready";
      },
      () => {
        state = "idle";
      },
    );
  };
  return (leaves, written) => {
    const isForThread = written.starts.length >= LEAST_ENTRIES && isShared(written.bytes);
    if (isForThread && state === "ready") return ask({ leaves, written });
    if (isForThread && state === "idle") begin({ leaves, written });
    return areLeavesOf(leaves, written);
  };
}

function isShared({ buffer }: Uint8Array): boolean {
  return buffer instanceof SharedArrayBuffer;
}
