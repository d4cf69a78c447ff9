/** The worker thread of check-pool.ts: checks one job after the other. */

import { parentPort, workerData } from "node:worker_threads";
import { invariant } from "../../kernel/errors.ts";
import { parseJson } from "../../kernel/json/parse.ts";
import { readShape } from "../../kernel/shape.ts";
import { checkedLogShape, EntryChecker, type EntryJob } from "./entry-check.ts";

const MAX_LOG_BYTES = 65_536;
const port = parentPort;
invariant(port !== null, "the checking worker must run in a worker thread");
const log: unknown = workerData;
invariant(typeof log === "string", "the checking worker must be given the log as JSON");
const checker = new EntryChecker(readShape(checkedLogShape, parseJson(log, { maxBytes: MAX_LOG_BYTES }), "log"));

port.on("message", (job: EntryJob) => port.postMessage(checker.check(job)));
