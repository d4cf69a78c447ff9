/** How a client asks for a promise, and how it gets one where the body has no room for it. */

import type { FastifyReply, FastifyRequest } from "fastify";
import { formatBase64 } from "../../kernel/base64.ts";
import { FormatError } from "../../kernel/errors.ts";
import { formatLeafPromise, type LeafPromise } from "../../kernel/promise.ts";

/** Header of an answer with a promise: base64 of its canonical bytes. */
export const PROMISE_HEADER = "countersign-promise";

/** True if the request asks for a promise, with `?promise=1`. @throws {FormatError} ERR_REQUEST for any other value */
export function isPromiseAsked({ query }: Pick<FastifyRequest, "query">): boolean {
  const asked: unknown = typeof query === "object" && query !== null && "promise" in query ? query.promise : undefined;
  if (asked === undefined) return false;
  if (asked === "1") return true;
  throw new FormatError("ERR_REQUEST", "promise: want 1, once");
}

/** Puts a promise into the answer's header. */
export function sendPromise(reply: FastifyReply, promise: LeafPromise): FastifyReply {
  return reply.header(PROMISE_HEADER, formatBase64(formatLeafPromise(promise)));
}
