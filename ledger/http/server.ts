/** The HTTP server: limits, errors, and the routes in groups that each take one kind of body. */

import { type FastifyInstance, fastify } from "fastify";
import { faultOf, sendFault } from "./errors.ts";

const KEEP_ALIVE_MS = 72_000;
/** A request that takes longer to arrive is cut: half-open requests hold memory. */
const REQUEST_TIMEOUT_MS = 60_000;
/** Longest time that a long-polling answer may take (30 s), and some. */
const MAX_CONNECTIONS = 10_000;

/** Adds routes to a server or to a scope of it. */
export type Routes = (scope: FastifyInstance) => void;

/** What the server tells of each answered request. */
export type OnAnswer = (route: string, status: number) => void;

/** Builds the server; it does not listen yet. */
export function makeServer(groups: readonly Routes[], onFault: (error: unknown) => void): FastifyInstance {
  const server = fastify({
    logger: false,
    bodyLimit: 1024,
    keepAliveTimeout: KEEP_ALIVE_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    forceCloseConnections: "idle",
    exposeHeadRoutes: true,
    routerOptions: { ignoreTrailingSlash: false, caseSensitive: true, maxParamLength: 128 },
    return503OnClosing: true,
  });
  server.server.maxConnections = MAX_CONNECTIONS;
  server.setErrorHandler((error, _request, reply) => {
    const fault = faultOf(error);
    if (fault.status === 500) onFault(error);
    return sendFault(reply, fault);
  });
  server.setNotFoundHandler((_request, reply) =>
    sendFault(reply, { status: 404, code: "ERR_NOT_FOUND", message: "no such route", details: {} }),
  );
  for (const group of groups) {
    server.register((scope, _options, done) => {
      group(scope);
      done();
    });
  }
  return server;
}

/**
 * Takes bodies of one content type, as bytes; all others are refused. `*` takes any, also none.
 */
export function takeBytes(scope: FastifyInstance, contentType: string): void {
  scope.removeAllContentTypeParsers();
  scope.addContentTypeParser(contentType, { parseAs: "buffer" }, (_request, body, done) => done(null, body));
}

/** The bytes that `takeBytes` took; empty if the request had no body. */
export function bodyOf(request: { readonly body: unknown }): Uint8Array {
  return request.body instanceof Uint8Array ? request.body : new Uint8Array(0);
}
