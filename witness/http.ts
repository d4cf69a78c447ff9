/** HTTP of a witness: the C2SP paths, health, metrics. Bodies are bounded; errors are one line of text. */

import Fastify, { type FastifyInstance, type FastifyReply } from "fastify";
import { Counter, collectDefaultMetrics, Registry } from "prom-client";
import { MAX_REQUEST_BYTES } from "./request.ts";
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

/** Builds the server; `listen` is the caller's. */
export function makeWitnessServer({ witness, waitMs, onAnswer }: WitnessHttpOptions): FastifyInstance {
  const server = Fastify({ bodyLimit: MAX_REQUEST_BYTES, logger: false, forceCloseConnections: "idle" });
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
    if (note === undefined) return reply.code(404).type(TEXT).send("no checkpoint of such a log was cosigned here\n");
    return reply.header("Cache-Control", "no-cache").type(TEXT).send(note);
  });
  server.get("/healthz", async () => ({ status: "ok" }));
  server.get("/readyz", async (_request, reply) => {
    return witness.isHealthy()
      ? { status: "ready" }
      : reply.code(503).send({ status: "failed", code: "ERR_WITNESS_STATE" });
  });
  server.get("/metrics", async (_request, reply) => reply.type(registry.contentType).send(await registry.metrics()));
  answerFaults(server);
  return server;
}

/** Faults that never reach a route: unknown paths, bodies above the limit, broken requests. */
function answerFaults(server: FastifyInstance): void {
  server.setNotFoundHandler((_request, reply) => reply.code(404).type(TEXT).send("no such path\n"));
  server.setErrorHandler((error: { statusCode?: number }, _request, reply) => {
    const status = error.statusCode ?? 500;
    const why = status === 413 ? `the body is longer than ${MAX_REQUEST_BYTES} bytes` : "the request cannot be served";
    return reply.code(status).type(TEXT).send(`${why}\n`);
  });
}

function tooMany(reply: FastifyReply, waitMs: number): FastifyReply {
  reply.header("Retry-After", String(Math.ceil(waitMs / 1000)));
  return reply.code(429).type(TEXT).send("too many requests for this log\n");
}

/** The line behind the first empty one: the origin, if the body is what it should be. */
function originLine(body: Uint8Array): string {
  const text = new TextDecoder().decode(body.subarray(0, ORIGIN_SCAN_BYTES));
  return /\n\n([^\n]*)\n/u.exec(text)?.[1] ?? "";
}
