/**
 * The operator listener: an address and a token of its own, which no agent has. A request with a wrong token is refused
 * and leaves a receipt. Health and metrics need no token and hold no names.
 */

import { type FastifyInstance, type FastifyRequest, fastify } from "fastify";
import { CheckError, invariant } from "../../kernel/errors.ts";
import { parseJson } from "../../kernel/json/parse.ts";
import type { JsonObject, JsonValue } from "../../kernel/json/value.ts";
import { object, readShape, type Shape, string } from "../../kernel/shape.ts";
import type { Catalog } from "../catalog/catalog.ts";
import { MAX_CATALOG_BYTES } from "../catalog/catalog-file.ts";
import type { ReloadedCatalog } from "../catalog-reload.ts";
import type { Operator } from "../controls/operator.ts";
import type { OperatorSwitches } from "../controls/switches.ts";
import type { GatewayMetrics } from "../metrics.ts";
import type { Pipeline } from "../pipeline/call.ts";
import { MAX_RELOAD_BYTES, type ReloadedPolicy } from "../policy-reload.ts";
import type { GatewayRun } from "../run.ts";
import type { GatewayStatus } from "../status.ts";
import { controlRoutes } from "./control-routes.ts";
import { faultOf, sendFault } from "./errors.ts";
import { makeOperatorMatch, type NamedOperator } from "./operators.ts";
import { pageRoutes } from "./page-routes.ts";

/** What the routes work on. */
export interface OperatorOptions {
  readonly token: string;
  /** People with tokens of their own. */
  readonly operators: readonly NamedOperator[];
  readonly switches: OperatorSwitches;
  readonly pipeline: Pick<Pipeline, "refuse" | "sealAll">;
  readonly catalog: () => Catalog;
  readonly reloadCatalog: (bytes: Uint8Array) => Promise<ReloadedCatalog>;
  readonly reloadPolicy: (bytes: Uint8Array) => Promise<ReloadedPolicy>;
  readonly boundary: JsonObject;
  readonly resetLabels: GatewayRun["resetLabels"];
  readonly status: () => GatewayStatus;
  readonly metrics: GatewayMetrics;
  readonly onFault: (error: unknown) => void;
}

type NamedCaller = { readonly issuer: string; readonly name: string };

const callerShape: Shape<NamedCaller> = object<NamedCaller>({
  issuer: string({ maxLength: 200 }),
  name: string({ maxLength: 1024 }),
});

const MAX_BODY_BYTES = 4096;
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
  // Bodies are read by our own strict reader, in the route.
  server.removeAllContentTypeParsers();
  server.addContentTypeParser("application/json", { parseAs: "buffer" }, (_request, body, done) => done(null, body));
  server.setErrorHandler((error, _request, reply) => {
    const fault = faultOf(error);
    if (fault.status === 500) options.onFault(error);
    return sendFault(reply, fault);
  });
  server.setNotFoundHandler((_request, reply) =>
    sendFault(reply, { status: 404, code: "ERR_NOT_FOUND", message: "no such route" }),
  );
  openRoutes(server, options);
  pageRoutes(server);
  server.register((scope, _options, done) => {
    guardedRoutes(scope, options);
    done();
  });
  return server;
}

/** The strict JSON of a request. @throws {FormatError} ERR_JSON_* */
function bodyOf({ body }: FastifyRequest): JsonValue {
  const bytes = body instanceof Uint8Array ? body : new Uint8Array(0);
  // The route's limit has bounded it.
  return parseJson(bytes, { maxBytes: Math.max(1, bytes.length) });
}

function openRoutes(server: FastifyInstance, { status, metrics }: OperatorOptions): void {
  server.get("/healthz", (_request, reply) => reply.send({ status: "ok" }));
  server.get("/readyz", (_request, reply) => {
    const { ready, safe_state: reason } = status();
    return reply
      .code(ready ? 200 : 503)
      .header("cache-control", "no-store")
      .send(reason === undefined ? { ready } : { ready, reason });
  });
  server.get("/metrics", async (_request, reply) => reply.type(metrics.contentType).send(await metrics.text()));
}

function guardedRoutes(scope: FastifyInstance, options: OperatorOptions): void {
  const { catalog, boundary, status, pipeline, resetLabels } = options;
  const match = makeOperatorMatch(options.token, options.operators);
  const known = new WeakMap<FastifyRequest, Operator>();
  scope.addHook("onRequest", async (request: FastifyRequest) => {
    const { authorization } = request.headers;
    const operator = match(authorization);
    if (operator !== undefined) {
      known.set(request, operator);
      return;
    }
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
  signedRoutes(scope, options);
  scope.post("/labels/reset", async (request, reply) => {
    const caller = readShape(callerShape, bodyOf(request), "body");
    return reply.send(await resetLabels(caller));
  });
  controlRoutes(scope, options.switches, bodyOf, (request) => {
    const operator = known.get(request);
    invariant(operator !== undefined, "a guarded route was reached without an operator");
    return operator;
  });
  scope.post("/sessions/seal", async (_request, reply) => reply.send({ sealed: await pipeline.sealAll("operator") }));
}

/** The body is taken byte for byte: the one spelling that was signed. */
function signedRoutes(scope: FastifyInstance, { reloadCatalog, reloadPolicy }: OperatorOptions): void {
  scope.post<{ Body: Uint8Array | undefined }>("/catalog", { bodyLimit: MAX_CATALOG_BYTES }, async (request, reply) =>
    reply.send(await reloadCatalog(new Uint8Array(request.body ?? []))),
  );
  scope.post<{ Body: Uint8Array | undefined }>("/policy", { bodyLimit: MAX_RELOAD_BYTES }, async (request, reply) =>
    reply.send(await reloadPolicy(new Uint8Array(request.body ?? []))),
  );
}
