/** The thread of table-thread.ts. */

import { serveJobs } from "../job-thread.ts";
import type { TableJob } from "./table-thread.ts";
import { buildTable, mergeTables } from "./table-writer.ts";

serveJobs((job: TableJob) => (job.kind === "build" ? buildTable(job) : mergeTables(job)));
