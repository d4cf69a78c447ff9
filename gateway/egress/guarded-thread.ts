/**
 * Where every thread of the gateway begins: it sets the guard up, with what this thread may connect to, and imports the
 * thread's own module only then. Nothing is imported here beside the guard and `#crypto`, whose addon cannot be loaded behind it.
 */

import "#crypto";
import { isMainThread, MessagePort, parentPort, workerData } from "node:worker_threads";
import { invariant } from "../../kernel/errors.ts";
import { installEgressGuard } from "./egress-guard.ts";
import { EgressRules } from "./egress-rules.ts";
import { isCallable, objectOf } from "./lock.ts";
import type { ThreadOrder } from "./thread-guard.ts";

invariant(!isMainThread && parentPort !== null, "a thread's first file runs in a thread");
const given: unknown = workerData;
invariant(isOrder(given), "a thread is told its module, what it may connect to, and where refusals go");
const { module, egress, alarms, data } = given;
if (egress !== undefined) {
  const guard = installEgressGuard(new EgressRules({ ...egress, threads: [] }, ""));
  guard.onRefused((refused) => alarms.postMessage(refused));
}
const loaded = objectOf(await import(module));
const serve: unknown = Reflect.get(loaded, "serve");
invariant(isCallable(serve), "a thread's module exports serve");
Reflect.apply(serve, undefined, [parentPort, data]);

/** What the guard that starts this thread hands over. */
function isOrder(value: unknown): value is ThreadOrder {
  if (typeof value !== "object" || value === null || !("module" in value) || !("alarms" in value)) return false;
  return typeof value.module === "string" && value.alarms instanceof MessagePort && "egress" in value;
}
