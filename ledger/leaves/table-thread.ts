/**
 * Who makes leaf tables: a thread that all logs of the process share, since sorting and merging would hold up the serving thread, or
 * the calling thread where only sources are at hand.
 */

import { Worker } from "node:worker_threads";
import { invariant } from "../../kernel/errors.ts";
import { JobThread } from "../job-thread.ts";
import type { FilterPart } from "../sequence/leaf-filter.ts";
import { filterTables, type TableFile } from "./table-reader.ts";
import { type BuildJob, buildTable, type MergeJob, mergeTables } from "./table-writer.ts";

/** Makes and reads tables; each call resolves once what it makes is durable. */
export interface TableMaker {
  readonly build: (job: BuildJob) => Promise<void>;
  /** @throws {FormatError} ERR_INDEX_ROW if a part is damaged */
  readonly merge: (job: MergeJob) => Promise<void>;
  /** Makes a filter of all their leaves. @throws {FormatError} ERR_INDEX_ROW if one is damaged */
  readonly filter: (tables: readonly TableFile[]) => Promise<FilterPart>;
}

/** What the thread is told. */
export type TableJob =
  | ({ readonly kind: "build" } & BuildJob)
  | ({ readonly kind: "merge" } & MergeJob)
  | { readonly kind: "filter"; readonly tables: readonly TableFile[] };

/** Makes tables on the calling thread. */
export function makeInlineTableMaker(): TableMaker {
  return {
    build: async (job) => buildTable(job),
    merge: async (job) => mergeTables(job),
    filter: async (tables) => partOf(filterTables(tables)),
  };
}

const shared = new JobThread<TableJob>(() => new Worker(new URL("./table-worker.js", import.meta.url)));

/** Makes tables in the thread. Needs the compiled program. */
export const THREAD_TABLE_MAKER: TableMaker = {
  build: async (job) => void (await shared.ask({ ...job, kind: "build" })),
  merge: async (job) => void (await shared.ask({ ...job, kind: "merge" })),
  filter: async (tables) => {
    const words = await shared.ask({ kind: "filter", tables });
    invariant(words instanceof Uint32Array, "the thread that makes leaf tables answers a filter with its words");
    return partOf(words);
  },
};

/** Nothing is added to it any more. */
function partOf(words: Uint32Array): FilterPart {
  return { words, left: 0 };
}
