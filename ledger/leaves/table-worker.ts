/** The thread of table-thread.ts: makes one table after the other and says what became of it. */

import { parentPort } from "node:worker_threads";
import { FormatError, invariant } from "../../kernel/errors.ts";
import type { TableAnswer, TableJob } from "./table-thread.ts";
import { buildTable, mergeTables } from "./table-writer.ts";

const port = parentPort;
invariant(port !== null, "the worker that makes leaf tables must run in a worker thread");
port.on("message", (job: TableJob) => port.postMessage(make(job)));

function make(job: TableJob): TableAnswer {
  try {
    if (job.kind === "build") buildTable(job);
    else mergeTables(job);
    return { kind: "made" };
  } catch (error) {
    if (error instanceof FormatError && error.code === "ERR_INDEX_ROW") return { kind: "damaged" };
    return { kind: "failed", message: error instanceof Error ? error.message : String(error) };
  }
}
