/** A bound on the requests of a scope that are in work, so that their bodies cannot fill the memory. */

import type { FastifyInstance, FastifyReply } from "fastify";
import { StoreError } from "../../kernel/errors.ts";

/** Refuses requests above `limit` with ERR_QUEUE_FULL, before their bodies are read. */
export function limitConcurrency(scope: FastifyInstance, limit: number): void {
  const working = new WeakSet<FastifyReply>();
  let count = 0;
  scope.addHook("onRequest", (_request, reply, done) => {
    if (count >= limit) return done(new StoreError("ERR_QUEUE_FULL", `more than ${limit} requests of this kind`));
    working.add(reply);
    count += 1;
    // Also when the client goes away before it was answered.
    reply.raw.once("close", () => {
      if (working.delete(reply)) count -= 1;
    });
    done();
  });
}
