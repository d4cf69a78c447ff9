/**
 * New files written by a thread that all logs of the process share. A tile is five calls of the file system: one by one through the
 * pool of the runtime they cost the serving thread more than the hashes of the tile, and syncs of the write-ahead log wait behind
 * them. Needs the compiled program.
 */

import { Worker } from "node:worker_threads";
import { JobThread } from "../job-thread.ts";
import type { WholeFile } from "./new-files.ts";

const shared = new JobThread<readonly WholeFile[]>(() => new Worker(new URL("./files-worker.js", import.meta.url)));

/** Writes files as `writeNewFiles` does. @throws {StoreError} ERR_STORE_WRITE, fatal */
export async function writeInThread(files: readonly WholeFile[]): Promise<void> {
  await shared.ask(files);
}
