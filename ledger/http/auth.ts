/** Who may ask: bearer tokens. */

import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import type { FastifyRequest } from "fastify";
import { CheckError } from "../../kernel/errors.ts";
import { makeTokenMatch } from "../../kernel/service/bearer-token.ts";

/** Checks the token of a request. @throws {CheckError} ERR_TOKEN */
export type TokenCheck = (request: { readonly headers: IncomingMessage["headers"] }) => void;

/** A request as far as its token goes, and the connection that it came on. */
export interface AskedConnection {
  readonly socket: Socket;
  readonly headers: Pick<IncomingMessage["headers"], "authorization">;
}

/**
 * Whether a request may pass, without throwing: for the short way. A header that this connection has shown before is not
 * hashed again; comparing it with itself tells its sender nothing.
 */
export function makeTokenMemory(tokens: readonly string[]): (request: AskedConnection) => boolean {
  const matches = makeTokenMatch(tokens);
  const shown = new WeakMap<Socket, string>();
  return (request) => {
    const { socket } = request;
    const header = request.headers.authorization;
    if (header === undefined) return false;
    if (shown.get(socket) === header) return true;
    if (!matches(header)) return false;
    shown.set(socket, header);
    return true;
  };
}

/** A check that any one of `tokens` passes. */
export function makeTokenCheck(tokens: readonly string[]): TokenCheck {
  const matches = makeTokenMatch(tokens);
  return (request) => {
    if (matches(request.headers.authorization)) return;
    throw new CheckError("ERR_TOKEN", "want the header `authorization: Bearer <token>` of this route");
  };
}

/** The check as a hook in front of a route: before its body is read and anything is looked up. */
export function asHook(check: TokenCheck): (request: FastifyRequest) => Promise<void> {
  return async (request) => check(request);
}
