/** Bearer tokens, compared in constant time. */

import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import { CheckError } from "../../kernel/errors.ts";

/** Checks the token of a request. @throws {CheckError} ERR_TOKEN */
export type TokenCheck = (request: { readonly headers: IncomingMessage["headers"] }) => void;

const SCHEME = "Bearer ";

/**
 * Whether a request may pass, without throwing: for the short way. A header that this connection has shown before is not
 * hashed again; comparing it with itself tells its sender nothing.
 */
export function makeTokenMemory(tokens: readonly string[]): (request: IncomingMessage) => boolean {
  const check = makeTokenCheck(tokens);
  const shown = new WeakMap<Socket, string>();
  return (request) => {
    const { socket } = request;
    const header = request.headers.authorization;
    if (header === undefined) return false;
    if (shown.get(socket) === header) return true;
    try {
      check(request);
    } catch {
      return false;
    }
    shown.set(socket, header);
    return true;
  };
}

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
