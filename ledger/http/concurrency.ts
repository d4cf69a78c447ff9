/** A bound on the requests of a scope that are in work, so that their bodies cannot fill the memory. */

import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { StoreError } from "../../kernel/errors.ts";

const DIGITS = /^\d{1,15}$/u;

/** Bytes of bodies that may be held at the same time. */
export interface BodyBudget {
  readonly totalBytes: number;
  /** The limit of one body: what a request is taken for that does not say its length. */
  readonly eachBytes: number;
}

/**
 * Refuses requests above `limit`, or whose bodies would go above `budget`, with ERR_QUEUE_FULL, before they are read. A
 * body counts with the length that it announces from its first byte until it is answered.
 */
export function limitConcurrency(scope: FastifyInstance, limit: number, budget?: BodyBudget): void {
  const working = new WeakSet<FastifyReply>();
  let [count, bytes] = [0, 0];
  scope.addHook("onRequest", (request, reply, done) => {
    const length = budget === undefined ? 0 : announcedBytes(request, budget.eachBytes);
    if (count >= limit) return done(new StoreError("ERR_QUEUE_FULL", `more than ${limit} requests of this kind`));
    if (budget !== undefined && bytes + length > budget.totalBytes) {
      return done(new StoreError("ERR_QUEUE_FULL", `more than ${budget.totalBytes} bytes of bodies of this kind`));
    }
    working.add(reply);
    [count, bytes] = [count + 1, bytes + length];
    // Also when the client goes away before it was answered.
    reply.raw.once("close", () => {
      if (working.delete(reply)) [count, bytes] = [count - 1, bytes - length];
    });
    done();
  });
}

/** A longer body than the limit is refused before it is read, and holds nothing beyond it. */
function announcedBytes({ headers }: FastifyRequest, eachBytes: number): number {
  const text = headers["content-length"] ?? "";
  return DIGITS.test(text) ? Math.min(Number(text), eachBytes) : eachBytes;
}
