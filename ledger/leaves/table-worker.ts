/** The thread of table-thread.ts. */

import { serveJobs } from "../job-thread.ts";
import { filterTables } from "./table-reader.ts";
import type { TableJob } from "./table-thread.ts";
import { buildTable, mergeTables } from "./table-writer.ts";

serveJobs((job: TableJob): Uint32Array | undefined => {
  if (job.kind === "filter") return filterTables(job.tables);
  if (job.kind === "build") buildTable(job);
  else mergeTables(job);
  return undefined;
});
