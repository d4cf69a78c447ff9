/**
 * Who makes leaf tables: a thread that all logs of the process share, since sorting and merging would hold up the serving thread, or
 * the calling thread where only sources are at hand.
 */

import { Worker } from "node:worker_threads";
import { JobThread } from "../job-thread.ts";
import { type BuildJob, buildTable, type MergeJob, mergeTables } from "./table-writer.ts";

/** Makes tables; each call resolves once the table is durable. */
export interface TableMaker {
  readonly build: (job: BuildJob) => Promise<void>;
  /** @throws {FormatError} ERR_INDEX_ROW if a part is damaged */
  readonly merge: (job: MergeJob) => Promise<void>;
}

/** What the thread is told. */
export type TableJob = ({ readonly kind: "build" } & BuildJob) | ({ readonly kind: "merge" } & MergeJob);

/** Makes tables on the calling thread. */
export function makeInlineTableMaker(): TableMaker {
  return { build: async (job) => buildTable(job), merge: async (job) => mergeTables(job) };
}

const shared = new JobThread<TableJob>(() => new Worker(new URL("./table-worker.js", import.meta.url)));

/** Makes tables in the thread. Needs the compiled program. */
export const THREAD_TABLE_MAKER: TableMaker = {
  build: (job) => shared.ask({ ...job, kind: "build" }),
  merge: (job) => shared.ask({ ...job, kind: "merge" }),
};
