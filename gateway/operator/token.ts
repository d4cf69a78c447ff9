/** The operator's bearer token, compared in constant time. */

import { createHash, timingSafeEqual } from "node:crypto";

const SCHEME = "Bearer ";

/** What a request's `authorization` header is worth. */
export type TokenFinding = "right" | "missing" | "wrong";

/** Makes the check of one token. Digests are compared, so that neither length nor prefix shows in time. */
export function makeTokenCheck(token: string): (authorization: string | undefined) => TokenFinding {
  const want = digest(token);
  return (authorization) => {
    if (authorization === undefined) return "missing";
    const given = digest(authorization.startsWith(SCHEME) ? authorization.slice(SCHEME.length) : "");
    return timingSafeEqual(want, given) ? "right" : "wrong";
  };
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
