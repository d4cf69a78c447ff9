/** The webhook: `POST /admit` over TLS, on a listener of its own. Whatever fails denies, as `failurePolicy: Fail` says. */

import type { Server } from "node:https";
import type { TLSSocket } from "node:tls";
import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from "fastify";
import { errorCode, isCodedError } from "../../kernel/errors.ts";
import { listenOn } from "../../kernel/service/listen.ts";
import type { Logger } from "../../kernel/service/service.ts";
import { type EdgeTls, serverOptions } from "../identity/tls-config.ts";
import type { Pipeline } from "../pipeline/call.ts";
import { KUBERNETES_PORT, type KubernetesConfig, REVIEWS_PER_MINUTE } from "./admission-config.ts";
import { type AdmissionDesk, unavailable } from "./admission-desk.ts";
import { formatReview, readReview } from "./admission-review.ts";
import type { AdmissionRules } from "./judge-admission.ts";

/** What it is started with. */
export interface AdmissionServerOptions {
  readonly config: KubernetesConfig;
  readonly tls: EdgeTls;
  readonly desk: AdmissionDesk;
  readonly pipeline: Pick<Pipeline, "refuse">;
  /** The bytes of the artifacts that are in the folder now. */
  readonly readArtifacts: () => readonly Uint8Array[];
  readonly isReady: () => boolean;
  readonly nowMs: () => number;
  readonly logger: Logger;
}

/** A cluster sends an object and what it was before; each is 1.5 MiB at most. */
const MAX_REVIEW_BYTES = 4 * 1024 * 1024;
const REQUEST_MS = 30_000;

/** Builds the server; it does not listen yet. @throws {FormatError} ERR_CERTIFICATE */
export function makeAdmissionServer(options: AdmissionServerOptions): FastifyInstance<Server> {
  const server: FastifyInstance<Server> = fastify({
    https: serverOptions(options.tls),
    logger: false,
    bodyLimit: MAX_REVIEW_BYTES,
    requestTimeout: REQUEST_MS,
    forceCloseConnections: "idle",
    return503OnClosing: true,
  });
  // Bodies are read by our own strict reader, in the route.
  server.removeAllContentTypeParsers();
  server.addContentTypeParser("application/json", { parseAs: "buffer" }, (_request, body, done) => done(null, body));
  server.setErrorHandler((error, _request, reply) => fault(options, error, reply));
  server.get("/healthz", (_request, reply) => reply.send({ status: "ok" }));
  server.get("/readyz", (_request, reply) =>
    reply.code(options.isReady() ? 200 : 503).send({ ready: options.isReady() }),
  );
  server.post("/admit", { preParsing: (request, reply) => checkClient(options, request, reply) }, (request, reply) =>
    admit(options, request, reply),
  );
  return server;
}

/** Listens. @throws {StoreError} ERR_SERVICE_START @returns `https://host:port` */
export async function listenForReviews(server: FastifyInstance<Server>, { listen }: KubernetesConfig): Promise<string> {
  const { host = "127.0.0.1", port = KUBERNETES_PORT } = listen;
  return listenOn(server, "kubernetes.listen", { host, port });
}

/** With `client_auth: require`, only the cluster is answered: its certificate leads to `client_ca_file`. */
async function checkClient(
  { tls, pipeline }: AdmissionServerOptions,
  { raw }: FastifyRequest,
  reply: FastifyReply,
): Promise<void> {
  if (tls.clientAuth !== "require" || isAuthorized(raw.socket)) return;
  await pipeline.refuse({ step: "authenticate", reason: "auth.certificate", wire: { transport: "http" } });
  await reply.code(401).send({ error: { code: "ERR_TOKEN", message: "want the cluster's client certificate" } });
}

function isAuthorized(socket: object): socket is TLSSocket {
  return "authorized" in socket && socket.authorized === true;
}

async function admit(options: AdmissionServerOptions, request: FastifyRequest, reply: FastifyReply): Promise<unknown> {
  const { desk, pipeline, config } = options;
  const bytes = request.body instanceof Uint8Array ? new Uint8Array(request.body) : new Uint8Array();
  const review = readReview(bytes, MAX_REVIEW_BYTES);
  const perMinute = config.reviews_per_minute ?? REVIEWS_PER_MINUTE;
  try {
    const answer = await desk.answer(review, bytes, rulesOf(options), perMinute);
    if (answer !== undefined) return await reply.send(formatReview(review.uid, answer));
    await pipeline.refuse({ step: "limits", reason: "limit.total", wire: { transport: "http" } });
    const message = "countersign: too many reviews in a minute; try again";
    return await reply.send(formatReview(review.uid, { allowed: false, message, warnings: [] }));
  } catch (error) {
    options.logger.error({ code: errorCode(error) }, "a review could not be answered");
    return reply.send(formatReview(review.uid, { allowed: false, message: unavailable(error), warnings: [] }));
  }
}

function rulesOf({ config, readArtifacts, nowMs }: AdmissionServerOptions): AdmissionRules {
  const { signers, threshold, namespaces = [], gateway_images: gateways = [], sidecar_images: sidecars = [] } = config;
  return {
    seal: { signers, threshold },
    namespaces: new Set(namespaces),
    gatewayImages: new Set(gateways),
    sidecarImages: new Set(sidecars),
    artifacts: readArtifacts(),
    nowMs: nowMs(),
  };
}

/** What is no review has no uid to answer with: an error of HTTP, which the cluster takes for a denial. */
async function fault(
  { pipeline, logger }: AdmissionServerOptions,
  error: unknown,
  reply: FastifyReply,
): Promise<unknown> {
  const status = isCodedError(error) ? 400 : statusOf(error);
  const isTooLarge = status === 413;
  if (status === 500) logger.error({ err: error }, "a request of the webhook failed");
  const reason = isTooLarge ? "json.size" : "admission.unreadable";
  await pipeline.refuse({ step: "scan", reason, wire: { transport: "http" } });
  const code = isCodedError(error) ? error.code : "ERR_SHAPE";
  return reply.code(status).send({ error: { code, message: "want an AdmissionReview of admission.k8s.io/v1" } });
}

/** Of fastify's own errors: a body that is too large, or of another media type. */
function statusOf(error: unknown): number {
  const isKnown = typeof error === "object" && error !== null && "statusCode" in error;
  return isKnown && (error.statusCode === 413 || error.statusCode === 415) ? error.statusCode : 500;
}
