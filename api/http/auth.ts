/** Who may ask: bearer tokens; without tokens, those who address this machine by its own name. */

import type { FastifyRequest } from "fastify";
import { CheckError } from "../../kernel/errors.ts";
import { makeTokenMatch } from "../../kernel/service/bearer-token.ts";
import { isLoopback } from "../../kernel/service/listen.ts";

/** Checks a request. @throws {CheckError} ERR_TOKEN, ERR_HOST */
export type AccessCheck = (request: FastifyRequest) => void;

/**
 * A check that any one of `tokens` passes. Without tokens only requests to a loopback name pass: a page of another site
 * that had its own name resolve to 127.0.0.1 would send that name.
 */
export function makeAccessCheck(tokens: readonly string[]): AccessCheck {
  if (tokens.length === 0) return checkHost;
  const matches = makeTokenMatch(tokens);
  return (request) => {
    if (matches(request.headers.authorization)) return;
    throw new CheckError("ERR_TOKEN", "want the header `authorization: Bearer <token>`");
  };
}

function checkHost(request: FastifyRequest): void {
  const host = (request.headers.host ?? "").replace(/:\d+$/u, "").replace(/^\[(.*)\]$/u, "$1");
  if (!isLoopback(host)) throw new CheckError("ERR_HOST", "want a request to a loopback name");
}
