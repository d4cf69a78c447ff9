/** The worker thread of check-pool.ts: checks one job after the other. */

import { parentPort, workerData } from "node:worker_threads";
import { invariant } from "../../kernel/errors.ts";
import { EntryChecker, type EntryJob } from "./entry-check.ts";

const port = parentPort;
invariant(port !== null, "the checking worker must run in a worker thread");
const origin: unknown = workerData;
invariant(typeof origin === "string", "the checking worker must be given the origin");
const checker = new EntryChecker(origin);

port.on("message", (job: EntryJob) => port.postMessage(checker.check(job)));
