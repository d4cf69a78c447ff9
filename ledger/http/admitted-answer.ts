/** What is answered about receipts that are in the log: the same in the body of a request and in a line of a stream. */

import type { JsonObject } from "../../kernel/json/value.ts";
import type { Admitted } from "../admission/admit.ts";
import type { PromiseDesk } from "../promise/promise-desk.ts";

/** Where a submission is and where its stream stands, without promises. */
export function placeAnswer({ firstIndex, count, tip }: Pick<Admitted, "firstIndex" | "count" | "tip">): JsonObject {
  return { first_index: Number(firstIndex), count, tip: { ...tip } };
}

/** Member `promises`, one for each run of a segment or batch, if they were asked for. */
export function runPromises(promises: PromiseDesk, isAsked: boolean, { runs }: Pick<Admitted, "runs">): JsonObject {
  return isAsked ? { promises: runs.map((run) => promises.promiseRun(run)) } : {};
}

/**
 * Member `promise` of a single receipt, if it was asked for. There is none for a receipt that is in the log with another
 * signature: that is another leaf.
 */
export function leafPromise(
  promises: PromiseDesk,
  isAsked: boolean,
  admitted: Pick<Admitted, "firstIndex" | "leaf" | "runs" | "flush">,
): JsonObject {
  const { firstIndex, leaf, runs, flush } = admitted;
  if (!isAsked || runs.length === 0) return {};
  return { promise: promises.promiseLeaf({ index: firstIndex, leaf, flush }) };
}
