/** The HTTP server of an auditor node: GraphQL, the console, health and metrics. */

import { type FastifyInstance, fastify } from "fastify";
import { StoreError } from "../../kernel/errors.ts";
import type { FollowedLedger } from "../follow/open-ledger.ts";
import type { Executor } from "../graphql/executor.ts";
import type { Limits } from "../graphql/limits.ts";
import type { Metrics } from "../metrics.ts";
import type { AccessCheck } from "./auth.ts";
import { consoleRoutes } from "./console-routes.ts";
import { answerNoHttp, faultOf, sendFault } from "./errors.ts";

/** What the server serves. */
export interface ServerParts {
  readonly ledgers: readonly FollowedLedger[];
  readonly execute: Executor;
  readonly limits: Limits;
  readonly checkAccess: AccessCheck;
  readonly metrics: Metrics;
  /** Told of faults that are ours. */
  readonly onFault: (error: unknown) => void;
}

const GRAPHQL = "/graphql";
const KEEP_ALIVE_MS = 72_000;
const REQUEST_TIMEOUT_MS = 30_000;
const MAX_CONNECTIONS = 2_000;

/** Builds the server; it does not listen yet. */
export function makeServer(parts: ServerParts): FastifyInstance {
  const server = fastify({
    logger: false,
    bodyLimit: 1024,
    keepAliveTimeout: KEEP_ALIVE_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    forceCloseConnections: "idle",
    return503OnClosing: true,
    frameworkErrors: (error, _request, reply) => {
      void sendFault(reply, faultOf(error), false);
    },
    clientErrorHandler: answerNoHttp,
  });
  server.server.maxConnections = MAX_CONNECTIONS;
  server.setErrorHandler((error, request, reply) => {
    const fault = faultOf(error);
    if (fault.status === 500) parts.onFault(error);
    return sendFault(reply, fault, request.routeOptions.url === GRAPHQL);
  });
  server.setNotFoundHandler((_request, reply) =>
    sendFault(reply, { status: 404, code: "ERR_NOT_FOUND", message: "no such route" }, false),
  );
  server.addHook("onResponse", (request, reply, done) => {
    parts.metrics.countAnswer(request.routeOptions.url ?? "none", reply.statusCode);
    done();
  });
  server.register(async (scope) => graphqlRoute(scope, parts));
  consoleRoutes(server);
  operationsRoutes(server, parts);
  return server;
}

/** POST /graphql with application/json: browsers send that to no foreign site without asking it first. */
function graphqlRoute(scope: FastifyInstance, { execute, limits, checkAccess, metrics }: ServerParts): void {
  let running = 0;
  scope.removeAllContentTypeParsers();
  scope.addContentTypeParser("application/json", { parseAs: "buffer" }, (_request, body, done) => done(null, body));
  const onRequest = async (request: Parameters<AccessCheck>[0]): Promise<void> => checkAccess(request);
  scope.post(GRAPHQL, { bodyLimit: limits.max_body_bytes, onRequest }, async (request, reply) => {
    if (running >= limits.max_concurrent) throw new StoreError("ERR_QUEUE_FULL", "too many requests at the same time");
    running += 1;
    const end = metrics.startTimer();
    try {
      const { status, body } = await execute(bodyOf(request.body));
      return await reply
        .code(status)
        .header("cache-control", "no-store")
        .type("application/json; charset=utf-8")
        .send(body);
    } finally {
      running -= 1;
      end();
    }
  });
}

function bodyOf(body: unknown): Uint8Array {
  return body instanceof Uint8Array ? body : new Uint8Array(0);
}

/** Health: alive; ready unless an index failed. A fork or an unreachable ledger is news, not a fault of this node. */
function operationsRoutes(server: FastifyInstance, { ledgers, metrics }: ServerParts): void {
  server.get("/healthz", (_request, reply) => reply.send({ status: "ok" }));
  server.get("/readyz", (_request, reply) => {
    const states = Object.fromEntries(ledgers.map(({ name, watch }) => [name, watch.state().kind]));
    const ready = !Object.values(states).includes("failed");
    return reply
      .code(ready ? 200 : 503)
      .header("cache-control", "no-store")
      .send({ ready, ledgers: states });
  });
  server.get("/metrics", async (_request, reply) => reply.type(metrics.contentType).send(await metrics.text()));
}
