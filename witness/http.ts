/**
 * HTTP of a witness: the C2SP paths, evidence, health, metrics, reload. Bodies are bounded; errors are one line of text,
 * `<code>: <why>`.
 */

import type { Socket } from "node:net";
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import { MAX_REQUEST_BYTES } from "../kernel/add-checkpoint.ts";
import type { ErrorCode } from "../kernel/error-codes.ts";
import { isCodedError } from "../kernel/errors.ts";
import { makeTokenMatch } from "../kernel/service/bearer-token.ts";
import { TEXT, tooMany, type WitnessAnswer } from "./answer.ts";
import type { EvidenceShelf } from "./evidence.ts";
import type { WitnessMetrics } from "./metrics.ts";
import { sourceOf } from "./rate-limit.ts";
import { MAX_SUBTREE_BYTES } from "./sign-subtree.ts";
import type { Witness } from "./witness.ts";

/** What the routes are made of. */
export interface WitnessHttpOptions {
  readonly witness: Witness;
  readonly evidence: EvidenceShelf;
  readonly metrics: WitnessMetrics;
  /** True if a key of the witness can sign subtrees: else there is no such route. */
  readonly signsSubtrees: boolean;
  /** True while an operator must decide whether the state is the newest. */
  readonly isSuspended: () => boolean;
  /** Milliseconds until this source may ask again; 0 if now. */
  readonly sourceWaitMs: (source: string) => number;
  /** Reads the log list again; the route needs the token. */
  readonly reload?: { readonly token: string; readonly run: () => Promise<number> };
  /** Told of every answer: never bodies. */
  readonly onAnswer: (fields: { readonly route: string; readonly status: number; readonly code: string }) => void;
}

/** A request that takes longer to arrive is cut: half-open requests hold memory. */
const REQUEST_TIMEOUT_MS = 30_000;
const KEEP_ALIVE_MS = 72_000;
const MAX_CONNECTIONS = 10_000;

/** Builds the server; `listen` is the caller's. */
export function makeWitnessServer(options: WitnessHttpOptions): FastifyInstance {
  const server = makeServer();
  server.removeAllContentTypeParsers();
  server.addContentTypeParser("*", { parseAs: "buffer" }, (_request, body, done) => done(null, body));
  protocolRoutes(server, options);
  evidenceRoutes(server, options);
  operationsRoutes(server, options);
  return server;
}

/** SPEC tlog-witness: submission and monitoring; both prefixes are the server's root. */
function protocolRoutes(server: FastifyInstance, { witness, signsSubtrees, ...options }: WitnessHttpOptions): void {
  const serve = (route: string, ask: (body: Uint8Array) => Promise<WitnessAnswer>) => {
    return async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
      const wait = options.sourceWaitMs(sourceOf(request.ip));
      const answer = wait > 0 ? tooMany("too many requests of this source", wait) : await ask(bodyOf(request));
      options.metrics.countAnswer(route, answer);
      options.onAnswer({ route, status: answer.status, code: answer.code });
      const { status, contentType, body, retryAfterMs } = answer;
      if (retryAfterMs !== undefined) reply.header("Retry-After", String(Math.ceil(retryAfterMs / 1000)));
      return reply.code(status).type(contentType).send(body);
    };
  };
  server.post("/add-checkpoint", serve("add-checkpoint", witness.addCheckpoint));
  if (signsSubtrees) {
    server.post("/sign-subtree", { bodyLimit: MAX_SUBTREE_BYTES }, serve("sign-subtree", witness.signSubtree));
  }
  server.get<{ Params: { hash: string } }>("/:hash/checkpoint", async (request, reply) => {
    const note = witness.checkpoint(request.params.hash);
    if (note === undefined)
      return sendFault(reply, 404, "ERR_NOT_FOUND", "no checkpoint of such a log was cosigned here");
    return reply.header("Cache-Control", "no-cache").type(TEXT).send(note);
  });
}

/** Evidence is for everybody: whoever trusts the log must be able to see it. */
function evidenceRoutes(server: FastifyInstance, { evidence }: WitnessHttpOptions): void {
  server.get("/evidence", async (_request, reply) =>
    reply.header("Cache-Control", "no-cache").send({ evidence: evidence.names }),
  );
  server.get<{ Params: { name: string } }>("/evidence/:name", async (request, reply) => {
    const document = await evidence.read(request.params.name);
    if (document === undefined) return sendFault(reply, 404, "ERR_NOT_FOUND", "no such evidence is kept here");
    const isFork = request.params.name.endsWith(".fork");
    return reply
      .type(isFork ? "application/json; charset=utf-8" : "application/octet-stream")
      .send(Buffer.from(document));
  });
}

function operationsRoutes(server: FastifyInstance, options: WitnessHttpOptions): void {
  const { witness, metrics, reload, isSuspended } = options;
  server.get("/healthz", async () => ({ status: "ok" }));
  server.get("/readyz", async (_request, reply) => {
    if (!witness.isHealthy()) return reply.code(503).send({ status: "failed", code: "ERR_WITNESS_STATE" });
    if (isSuspended()) return reply.code(503).send({ status: "suspended", code: "ERR_WITNESS_ROLLBACK" });
    return { status: "ready" };
  });
  server.get("/metrics", async (_request, reply) => reply.type(metrics.contentType).send(await metrics.text()));
  if (reload === undefined) return;
  const matches = makeTokenMatch([reload.token]);
  server.post("/reload", async (request, reply) => {
    if (!matches(request.headers.authorization)) {
      reply.header("www-authenticate", "Bearer");
      return sendFault(reply, 401, "ERR_TOKEN", "want the operator's token");
    }
    try {
      return { logs: await reload.run() };
    } catch (error) {
      if (!isCodedError(error)) throw error;
      return sendFault(reply, 422, error.code, `${error.message}; the list before it stays`);
    }
  });
}

function bodyOf(request: FastifyRequest): Uint8Array {
  return request.body instanceof Uint8Array ? request.body : new Uint8Array(0);
}

/** A server without routes: limits, and faults that never reach a route. */
function makeServer(): FastifyInstance {
  const server = Fastify({
    bodyLimit: MAX_REQUEST_BYTES,
    logger: false,
    forceCloseConnections: "idle",
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    frameworkErrors: (error, _request, reply) => {
      answerFault(error, reply);
    },
    clientErrorHandler: answerNoHttp,
  });
  server.server.maxConnections = MAX_CONNECTIONS;
  server.setNotFoundHandler((_request, reply) => sendFault(reply, 404, "ERR_NOT_FOUND", "no such path"));
  server.setErrorHandler((error: { readonly statusCode?: number }, _request, reply) => answerFault(error, reply));
  return server;
}

/** What fastify refuses, and what broke on our side. */
function answerFault({ statusCode = 500 }: { readonly statusCode?: number }, reply: FastifyReply): FastifyReply {
  if (statusCode === 413) {
    return sendFault(reply, 413, "ERR_BODY_SIZE", `the body is longer than ${MAX_REQUEST_BYTES} bytes`);
  }
  if (statusCode >= 500) return sendFault(reply, 500, "ERR_BUG", "internal fault");
  return sendFault(reply, statusCode, "ERR_REQUEST", "the request cannot be read");
}

/** Bytes that are not HTTP, or came too slowly: no request was made of them, so the answer is written by hand. */
function answerNoHttp(error: Error & { readonly code: string }, socket: Socket): void {
  if (error.code === "ECONNRESET" || !socket.writable) return void socket.destroy(error);
  const status = error.code === "ERR_HTTP_REQUEST_TIMEOUT" ? "408 Request Timeout" : "400 Bad Request";
  const body = "ERR_REQUEST: the request is not HTTP, or did not arrive in time\n";
  const head = `HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-type: ${TEXT}`;
  socket.end(`${head}\r\ncontent-length: ${body.length}\r\n\r\n${body}`);
}

function sendFault(reply: FastifyReply, status: number, code: ErrorCode, why: string): FastifyReply {
  return reply.code(status).type(TEXT).send(`${code}: ${why}\n`);
}
