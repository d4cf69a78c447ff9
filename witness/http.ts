/** HTTP of a witness: the C2SP paths, health, metrics. Bodies are bounded; errors are one line of text, `<code>: <why>`. */

import type { Socket } from "node:net";
import Fastify, { type FastifyInstance, type FastifyReply } from "fastify";
import { Counter, collectDefaultMetrics, Registry } from "prom-client";
import { MAX_REQUEST_BYTES } from "../kernel/add-checkpoint.ts";
import type { ErrorCode } from "../kernel/error-codes.ts";
import type { Witness } from "./witness.ts";

/** What the routes are made of. */
export interface WitnessHttpOptions {
  readonly witness: Witness;
  /** Milliseconds until this log may be asked again; 0 if now. The key is the origin line of the request, unchecked. */
  readonly waitMs: (origin: string) => number;
  /** Told of every answer: never bodies. */
  readonly onAnswer: (fields: { readonly status: number; readonly code: string }) => void;
}

const TEXT = "text/plain; charset=utf-8";
const ORIGIN_SCAN_BYTES = 4096;
/** A request that takes longer to arrive is cut: half-open requests hold memory. */
const REQUEST_TIMEOUT_MS = 30_000;
const KEEP_ALIVE_MS = 72_000;
const MAX_CONNECTIONS = 10_000;

/** Builds the server; `listen` is the caller's. */
export function makeWitnessServer({ witness, waitMs, onAnswer }: WitnessHttpOptions): FastifyInstance {
  const server = makeServer();
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const answers = new Counter({
    name: "countersign_witness_answers_total",
    help: "Answers to add-checkpoint by status and code",
    labelNames: ["status", "code"],
    registers: [registry],
  });
  server.removeAllContentTypeParsers();
  server.addContentTypeParser("*", { parseAs: "buffer" }, (_request, body, done) => done(null, body));

  server.post("/add-checkpoint", async (request, reply) => {
    const body = request.body instanceof Uint8Array ? new Uint8Array(request.body) : new Uint8Array(0);
    const wait = waitMs(originLine(body));
    if (wait > 0) return tooMany(reply, wait);
    const answer = await witness.addCheckpoint(body);
    answers.inc({ status: answer.status, code: answer.code });
    onAnswer({ status: answer.status, code: answer.code });
    if (answer.status === 429) reply.header("Retry-After", "1");
    return reply.code(answer.status).type(answer.contentType).send(answer.body);
  });
  server.get<{ Params: { hash: string } }>("/:hash/checkpoint", async (request, reply) => {
    const note = witness.checkpoint(request.params.hash);
    if (note === undefined)
      return sendFault(reply, 404, "ERR_NOT_FOUND", "no checkpoint of such a log was cosigned here");
    return reply.header("Cache-Control", "no-cache").type(TEXT).send(note);
  });
  server.get("/healthz", async () => ({ status: "ok" }));
  server.get("/readyz", async (_request, reply) => {
    return witness.isHealthy()
      ? { status: "ready" }
      : reply.code(503).send({ status: "failed", code: "ERR_WITNESS_STATE" });
  });
  server.get("/metrics", async (_request, reply) => reply.type(registry.contentType).send(await registry.metrics()));
  return server;
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

function tooMany(reply: FastifyReply, waitMs: number): FastifyReply {
  reply.header("Retry-After", String(Math.ceil(waitMs / 1000)));
  return sendFault(reply, 429, "ERR_QUEUE_FULL", "too many requests for this log");
}

/** The line behind the first empty one: the origin, if the body is what it should be. */
function originLine(body: Uint8Array): string {
  const text = new TextDecoder().decode(body.subarray(0, ORIGIN_SCAN_BYTES));
  return /\n\n([^\n]*)\n/u.exec(text)?.[1] ?? "";
}
