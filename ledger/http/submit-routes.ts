/** The write path: raw entries, and registrations, receipts and segments. Nothing is answered before it is durable. */

import type { FastifyInstance } from "fastify";
import { CheckError } from "../../kernel/errors.ts";
import type { LogKind } from "../../kernel/genesis.ts";
import type { JsonObject } from "../../kernel/json/value.ts";
import { MAX_ENTRY_BYTES } from "../../kernel/tile/entry-bundle.ts";
import type { Quota } from "../admission/quota.ts";
import { appendRaw, appendRawPlaced } from "../admission/raw.ts";
import { appendRawBatch, leafRunsOf, MAX_BATCH_BYTES, parseRawBatch } from "../admission/raw-batch.ts";
import { isPromiseAsked, sendPromise } from "../promise/asked.ts";
import type { PromiseDesk } from "../promise/promise-desk.ts";
import type { Sequencer } from "../sequence/proposal.ts";
import { runPromises } from "./admitted-answer.ts";
import type { TokenCheck } from "./auth.ts";
import { type BodyBudget, limitConcurrency } from "./concurrency.ts";
import { bodyOf, type Routes, takeBytes } from "./server.ts";

/** What the routes need. */
export interface AddParts {
  readonly kind: LogKind;
  readonly sequencer: Sequencer;
  readonly promises: PromiseDesk;
  readonly quota: Quota;
  /** Check of the submit token; undefined if anybody may add. */
  readonly checkSubmit: TokenCheck | undefined;
}

/** Batches that are in work at the same time, and what their bodies may hold together. */
const MAX_BATCHES = 64;
const BATCH_BUDGET: BodyBudget = { totalBytes: 16 * MAX_BATCH_BYTES, eachBytes: MAX_BATCH_BYTES };

/** POST /add of raw logs: any body of up to 65,535 bytes; the answer is the index in decimal. POST /add-batch: many at once. */
export function addRoutes(parts: AddParts): Routes {
  const { kind, sequencer, promises, quota, checkSubmit } = parts;
  return (scope: FastifyInstance) => {
    takeBytes(scope, "*");
    const onRequest = async (request: Parameters<TokenCheck>[0]): Promise<void> => {
      if (kind !== "raw") throw new CheckError("ERR_LOG_KIND", "this log takes receipts, not raw entries");
      checkSubmit?.(request);
    };
    scope.register(async (batches) => {
      // In front of the bound: a stranger must not take a place.
      batches.addHook("onRequest", onRequest);
      batchRoute(batches, parts);
    });
    scope.post("/add", { bodyLimit: MAX_ENTRY_BYTES, onRequest }, async (request, reply) => {
      reply.type("text/plain; charset=utf-8");
      const isAsked = isPromiseAsked(request);
      quota.takeOfLog(bodyOf(request).length);
      if (!isAsked) return reply.send((await appendRaw(sequencer, bodyOf(request))).toString());
      const placed = await appendRawPlaced(sequencer, bodyOf(request));
      return sendPromise(reply, promises.promiseLeaf(placed)).send(placed.index.toString());
    });
  };
}

/** The answer says where the entries are, once all of them are durable. */
function batchRoute(scope: FastifyInstance, { sequencer, promises, quota }: AddParts): void {
  takeBytes(scope, "application/octet-stream");
  limitConcurrency(scope, MAX_BATCHES, BATCH_BUDGET);
  scope.post("/add-batch", { bodyLimit: MAX_BATCH_BYTES }, async (request): Promise<JsonObject> => {
    const isAsked = isPromiseAsked(request);
    const run = parseRawBatch(bodyOf(request));
    quota.takeOfLog(run.bytes.length, run.starts.length);
    const placed = await appendRawBatch(sequencer, run);
    const { count, firstIndex, known } = placed;
    const places = known.map(([place, index]) => ({ place, index: Number(index) }));
    return {
      first_index: Number(firstIndex),
      count,
      known: places,
      ...runPromises(promises, isAsked, { runs: isAsked ? leafRunsOf(run, placed) : [] }),
    };
  });
}
