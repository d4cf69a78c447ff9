/** The thread of leaves-thread.ts: reads the full tiles of level 0 from disk, one after the other, and answers once. */

import { readFileSync } from "node:fs";
import { constants, setPriority } from "node:os";
import { join } from "node:path";
import { parentPort, workerData } from "node:worker_threads";
import { invariant } from "../../kernel/errors.ts";
import { TILE_WIDTH } from "../../kernel/tile/coordinates.ts";
import { formatTilePath } from "../../kernel/tile/path.ts";
import type { LeavesAnswer, LeavesJob } from "./leaves-thread.ts";
import { PartFiller } from "./log-leaves.ts";

const port = parentPort;
invariant(port !== null, "the worker that reads leaves must run in a worker thread");
// Linux gives each thread a priority of its own; elsewhere this would slow the whole process.
if (process.platform === "linux") setPriority(constants.priority.PRIORITY_BELOW_NORMAL);
const job: unknown = workerData;
invariant(isJob(job), "the worker that reads leaves must be given its job");
const filler = new PartFiller(job);
for (let index = 0; index < job.tiles; index += 1) {
  const path = formatTilePath({ kind: "hash", level: 0, index: BigInt(index), width: TILE_WIDTH });
  filler.take(readFileSync(join(job.dataDir, path)));
}
const answer: LeavesAnswer = { words: filler.end()?.words };
port.postMessage(answer);

/** What the thread that starts this one hands over. */
function isJob(value: unknown): value is LeavesJob {
  if (typeof value !== "object" || value === null) return false;
  return "dataDir" in value && typeof value.dataDir === "string" && "tiles" in value && "root" in value;
}
