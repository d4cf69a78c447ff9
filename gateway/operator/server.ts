/**
 * The operator listener: an address and a token of its own, which no agent has. A request with a wrong token is refused
 * and leaves a receipt. Health and metrics need no token and hold no names.
 */

import { type FastifyInstance, type FastifyRequest, fastify } from "fastify";
import { CheckError } from "../../kernel/errors.ts";
import type { JsonObject } from "../../kernel/json/value.ts";
import { makeTokenMatch } from "../../kernel/service/bearer-token.ts";
import type { Catalog } from "../catalog/catalog.ts";
import { MAX_CATALOG_BYTES } from "../catalog/catalog-file.ts";
import type { ReloadedCatalog } from "../catalog-reload.ts";
import type { GatewayMetrics } from "../metrics.ts";
import type { Pipeline } from "../pipeline/call.ts";
import type { GatewayStatus } from "../run.ts";
import { faultOf, sendFault } from "./errors.ts";

/** What the routes work on. */
export interface OperatorOptions {
  readonly token: string;
  readonly pipeline: Pick<Pipeline, "refuse" | "sealAll">;
  readonly catalog: () => Catalog;
  readonly reloadCatalog: (bytes: Uint8Array) => Promise<ReloadedCatalog>;
  readonly boundary: JsonObject;
  readonly status: () => GatewayStatus;
  readonly metrics: GatewayMetrics;
  readonly onFault: (error: unknown) => void;
}

const MAX_BODY_BYTES = 1024;
const REQUEST_TIMEOUT_MS = 30_000;

/** Builds the server; it does not listen yet. */
export function makeOperatorServer(options: OperatorOptions): FastifyInstance {
  const server = fastify({
    logger: false,
    bodyLimit: MAX_BODY_BYTES,
    requestTimeout: REQUEST_TIMEOUT_MS,
    forceCloseConnections: "idle",
    return503OnClosing: true,
  });
  server.setErrorHandler((error, _request, reply) => {
    const fault = faultOf(error);
    if (fault.status === 500) options.onFault(error);
    return sendFault(reply, fault);
  });
  server.setNotFoundHandler((_request, reply) =>
    sendFault(reply, { status: 404, code: "ERR_NOT_FOUND", message: "no such route" }),
  );
  openRoutes(server, options);
  server.register((scope, _options, done) => {
    guardedRoutes(scope, options);
    done();
  });
  return server;
}

function openRoutes(server: FastifyInstance, { status, metrics }: OperatorOptions): void {
  server.get("/healthz", (_request, reply) => reply.send({ status: "ok" }));
  server.get("/readyz", (_request, reply) => {
    const { ready } = status();
    return reply
      .code(ready ? 200 : 503)
      .header("cache-control", "no-store")
      .send({ ready });
  });
  server.get("/metrics", async (_request, reply) => reply.type(metrics.contentType).send(await metrics.text()));
}

function guardedRoutes(scope: FastifyInstance, options: OperatorOptions): void {
  const { catalog, boundary, status, pipeline } = options;
  const matches = makeTokenMatch([options.token]);
  scope.addHook("onRequest", async (request: FastifyRequest) => {
    const { authorization } = request.headers;
    if (matches(authorization)) return;
    const reason = authorization === undefined ? "auth.missing" : "auth.invalid";
    await pipeline.refuse({ step: "authenticate", reason, wire: { transport: "http" } });
    throw new CheckError(
      "ERR_TOKEN",
      "want the header `authorization: Bearer <operator token>`; an agent's is not one",
    );
  });
  scope.addHook("onSend", async (_request, reply) => {
    reply.header("cache-control", "no-store");
  });
  scope.get("/status", (_request, reply) => reply.send(status()));
  scope.get("/boundary", (_request, reply) => reply.send({ digest: status().boundary, statement: boundary }));
  scope.get("/catalog", (_request, reply) => {
    const { digest, file, drifts } = catalog();
    return reply.send({ digest, file, drifts });
  });
  catalogRoute(scope, options);
  scope.post("/sessions/seal", async (_request, reply) => reply.send({ sealed: await pipeline.sealAll("operator") }));
}

/** The body is taken byte for byte: the one spelling that was signed. */
function catalogRoute(scope: FastifyInstance, { reloadCatalog }: OperatorOptions): void {
  scope.register((route, _options, done) => {
    route.removeContentTypeParser("application/json");
    route.addContentTypeParser("application/json", { parseAs: "buffer" }, (_request, body, parsed) =>
      parsed(null, body),
    );
    route.post<{ Body: Uint8Array | undefined }>("/catalog", { bodyLimit: MAX_CATALOG_BYTES }, async (request, reply) =>
      reply.send(await reloadCatalog(new Uint8Array(request.body ?? []))),
    );
    done();
  });
}
