/** Who may ask: bearer tokens, compared in constant time; without tokens, those who address this machine by its own name. */

import { createHash, timingSafeEqual } from "node:crypto";
import type { FastifyRequest } from "fastify";
import { CheckError } from "../../kernel/errors.ts";
import { isLoopback } from "../config.ts";

/** Checks a request. @throws {CheckError} ERR_TOKEN, ERR_HOST */
export type AccessCheck = (request: FastifyRequest) => void;

const SCHEME = "Bearer ";

/**
 * A check that any one of `tokens` passes. Without tokens only requests to a loopback name pass: a page of another site
 * that had its own name resolve to 127.0.0.1 would send that name.
 */
export function makeAccessCheck(tokens: readonly string[]): AccessCheck {
  if (tokens.length === 0) return checkHost;
  const digests = tokens.map(digest);
  return (request) => {
    const header = request.headers.authorization ?? "";
    const given = digest(header.startsWith(SCHEME) ? header.slice(SCHEME.length) : "");
    // Every digest is compared, whichever matches.
    const matches = digests.filter((each) => timingSafeEqual(each, given)).length;
    if (matches === 0) throw new CheckError("ERR_TOKEN", "want the header `authorization: Bearer <token>`");
  };
}

function checkHost(request: FastifyRequest): void {
  const host = (request.headers.host ?? "").replace(/:\d+$/u, "").replace(/^\[(.*)\]$/u, "$1");
  if (!isLoopback(host)) throw new CheckError("ERR_HOST", "want a request to a loopback name");
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
