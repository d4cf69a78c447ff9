/** The HTTP server: limits, errors, and the routes in groups that each take one kind of body. */

import { createServer, type IncomingMessage, type RequestListener, type ServerOptions } from "node:http";
import type { Socket } from "node:net";
import { type FastifyInstance, type FastifyRequest, fastify } from "fastify";
import type { ErrorCode } from "../../kernel/error-codes.ts";
import { FormatError } from "../../kernel/errors.ts";
import { faultOf, sendFault } from "./errors.ts";

const KEEP_ALIVE_MS = 72_000;
/** A request that takes longer to arrive is cut: half-open requests hold memory. */
const REQUEST_TIMEOUT_MS = 60_000;
/** Longest time that a long-polling answer may take (30 s), and some. */
const MAX_CONNECTIONS = 10_000;

const HTTP_OPTIONS: ServerOptions = {
  keepAliveTimeout: KEEP_ALIVE_MS,
  requestTimeout: REQUEST_TIMEOUT_MS,
  // Ours to refuse, with a code.
  requireHostHeader: false,
};

type ClientFault = readonly [status: string, code: ErrorCode, message: string];
const CLIENT_FAULT: ClientFault = ["400 Bad Request", "ERR_REQUEST", "the request is not HTTP"];
const CLIENT_FAULTS: Readonly<Record<string, ClientFault>> = {
  HPE_HEADER_OVERFLOW: ["431 Request Header Fields Too Large", "ERR_REQUEST", "the header is too large"],
  ERR_HTTP_REQUEST_TIMEOUT: ["408 Request Timeout", "ERR_REQUEST", "the request did not arrive in time"],
};

/** Adds routes to a server or to a scope of it. */
export type Routes = (scope: FastifyInstance) => void;

/** The groups as one, with `prefix` in front of their paths. */
export function withPrefix(prefix: string, groups: readonly Routes[]): Routes {
  return (server) => {
    server.register(
      (scope, _options, done) => {
        addGroups(scope, groups);
        done();
      },
      { prefix },
    );
  };
}

/** Runs before a request is handled, after its body was read. What it throws is the answer. */
export type BeforeRequest = (request: FastifyRequest) => Promise<void>;

/** The group with `before` in front of each of its requests. */
export function withHook(before: BeforeRequest, group: Routes): Routes {
  return (scope) => {
    scope.addHook("preHandler", before);
    group(scope);
  };
}

/** Puts another listener in front of the ordinary one. */
export type Front = (ordinary: RequestListener) => RequestListener;

/** Builds the server; it does not listen yet. */
export function makeServer(
  groups: readonly Routes[],
  onFault: (error: unknown) => void,
  front: Front = (ordinary) => ordinary,
): FastifyInstance {
  const server = fastify({
    serverFactory: (ordinary) => createServer(HTTP_OPTIONS, front(ordinary)),
    logger: false,
    bodyLimit: 1024,
    forceCloseConnections: "idle",
    exposeHeadRoutes: true,
    routerOptions: { ignoreTrailingSlash: false, caseSensitive: true, maxParamLength: 128 },
    return503OnClosing: true,
    frameworkErrors: (error, _request, reply) => {
      void sendFault(reply, faultOf(error));
    },
    clientErrorHandler: answerNoHttp,
  });
  server.server.maxConnections = MAX_CONNECTIONS;
  server.addHook("onRequest", (request, _reply, done) => done(hostFault(request.raw)));
  server.setErrorHandler((error, _request, reply) => {
    const fault = faultOf(error);
    if (fault.status === 500) onFault(error);
    return sendFault(reply, fault);
  });
  server.setNotFoundHandler((_request, reply) =>
    sendFault(reply, { status: 404, code: "ERR_NOT_FOUND", message: "no such route", details: {} }),
  );
  addGroups(server, groups);
  return server;
}

/** Each group in a scope of its own: what one does to bodies and hooks is not seen by the others. */
function addGroups(server: FastifyInstance, groups: readonly Routes[]): void {
  for (const group of groups) {
    server.register((scope, _options, done) => {
      group(scope);
      done();
    });
  }
}

/** RFC 9112 §3.2: a request of HTTP/1.1 without exactly one host is refused; two could mean two things to two servers. */
function hostFault(request: IncomingMessage): FormatError | undefined {
  const { httpVersion } = request;
  const hosts = countHosts(request);
  if (hosts === 1 || (hosts === 0 && httpVersion === "1.0")) return undefined;
  return new FormatError("ERR_REQUEST", `want one host header, got ${hosts}`);
}

/** How many host headers a request has. */
export function countHosts({ rawHeaders }: IncomingMessage): number {
  let hosts = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i];
    if (name?.length === 4 && name.toLowerCase() === "host") hosts += 1;
  }
  return hosts;
}

/** Bytes that are not HTTP, or came too slowly: no request was made of them, so the answer is written by hand. */
function answerNoHttp(error: Error & { readonly code: string }, socket: Socket): void {
  if (error.code === "ECONNRESET" || !socket.writable) return void socket.destroy(error);
  const [status, code, message] = CLIENT_FAULTS[error.code] ?? CLIENT_FAULT;
  const body = JSON.stringify({ error: { code, message } });
  const head = `HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-type: application/json; charset=utf-8`;
  socket.end(`${head}\r\ncontent-length: ${body.length}\r\n\r\n${body}`);
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
