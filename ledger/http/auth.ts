/** Bearer tokens, compared in constant time. */

import { createHash, timingSafeEqual } from "node:crypto";
import type { FastifyRequest } from "fastify";
import { CheckError } from "../../kernel/errors.ts";

/** Checks the token of a request. @throws {CheckError} ERR_TOKEN */
export type TokenCheck = (request: FastifyRequest) => void;

const SCHEME = "Bearer ";

/** A check that any one of `tokens` passes. Digests are compared, so that neither length nor prefix shows in time. */
export function makeTokenCheck(tokens: readonly string[]): TokenCheck {
  const digests = tokens.map(digest);
  return (request) => {
    const header = request.headers.authorization ?? "";
    const given = digest(header.startsWith(SCHEME) ? header.slice(SCHEME.length) : "");
    // Every digest is compared, whichever matches.
    const matches = digests.filter((each) => timingSafeEqual(each, given)).length;
    if (matches === 0)
      throw new CheckError("ERR_TOKEN", "want the header `authorization: Bearer <token>` of this route");
  };
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
