/** The write path: raw entries, and registrations, receipts and segments. Nothing is answered before it is durable. */

import type { FastifyInstance } from "fastify";
import { CheckError } from "../../kernel/errors.ts";
import type { LogKind } from "../../kernel/genesis.ts";
import { MAX_ENTRY_BYTES } from "../../kernel/tile/entry-bundle.ts";
import type { Quota } from "../admission/quota.ts";
import { appendRaw, appendRawPlaced } from "../admission/raw.ts";
import { isPromiseAsked, sendPromise } from "../promise/asked.ts";
import type { PromiseDesk } from "../promise/promise-desk.ts";
import type { Sequencer } from "../sequence/proposal.ts";
import type { TokenCheck } from "./auth.ts";
import { bodyOf, type Routes, takeBytes } from "./server.ts";

/** What POST /add needs. */
export interface AddParts {
  readonly kind: LogKind;
  readonly sequencer: Sequencer;
  readonly promises: PromiseDesk;
  readonly quota: Quota;
  /** Check of the submit token; undefined if anybody may add. */
  readonly checkSubmit: TokenCheck | undefined;
}

/** POST /add of raw logs: any body of up to 65,535 bytes; the answer is the index in decimal. */
export function addRoutes({ kind, sequencer, promises, quota, checkSubmit }: AddParts): Routes {
  return (scope: FastifyInstance) => {
    takeBytes(scope, "*");
    const onRequest = async (request: Parameters<TokenCheck>[0]): Promise<void> => {
      if (kind !== "raw") throw new CheckError("ERR_LOG_KIND", "this log takes receipts, not raw entries");
      checkSubmit?.(request);
    };
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
