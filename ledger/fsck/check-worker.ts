/** The worker thread of check-pool.ts: checks one job after the other. */

import { constants, setPriority } from "node:os";
import { parentPort, workerData } from "node:worker_threads";
import { invariant } from "../../kernel/errors.ts";
import { parseJson } from "../../kernel/json/parse.ts";
import { boolean, object, readShape } from "../../kernel/shape.ts";
import { type AdmittedJob, checkAdmitted } from "../checks/admitted-check.ts";
import type { CheckSetting } from "./check-pool.ts";
import { checkedLogShape, EntryChecker, type EntryJob } from "./entry-check.ts";

const MAX_LOG_BYTES = 65_536;
const port = parentPort;
invariant(port !== null, "the checking worker must run in a worker thread");
const given: unknown = workerData;
invariant(typeof given === "string", "the checking worker must be given its setting as JSON");
const settingShape = object<CheckSetting>({ log: checkedLogShape, isBackground: boolean() });
const setting = readShape(settingShape, parseJson(given, { maxBytes: MAX_LOG_BYTES }), "setting");
// Linux gives each thread a priority of its own; elsewhere this would slow the whole process.
if (setting.isBackground && process.platform === "linux") setPriority(constants.priority.PRIORITY_LOW);
const checker = new EntryChecker(setting.log);

if (setting.isBackground) {
  port.on("message", (job: AdmittedJob) => port.postMessage(checkAdmitted(checker, job)));
} else {
  port.on("message", (job: EntryJob) => port.postMessage(checker.check(job)));
}
