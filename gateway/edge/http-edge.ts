/**
 * Streamable HTTP toward agents: `/mcp` and `/s/<serverId>/mcp`, both eras (docs/gateway.md). Checks run in the order of
 * the specification; each refusal is an error with a reason, and leaves a receipt.
 */

import { createServer, type Server } from "node:http";
import { createServer as createTlsServer, type Server as TlsServer } from "node:https";
import { errorCode } from "../../kernel/errors.ts";
import { cannotListen } from "../../kernel/service/listen.ts";
import { Deadlines } from "../deadlines.ts";
import { makeAuthenticate } from "../identity/authenticator.ts";
import type { CertificateRules } from "../identity/client-certificate.ts";
import type { SecureServer } from "../identity/listener-files.ts";
import type { ResourceServer } from "../identity/resource-server.ts";
import { type EdgeTls, serverOptions } from "../identity/tls-config.ts";
import { makeConfigured } from "./bearer.ts";
import { type Dispatcher, makeDispatcher } from "./dispatcher.ts";
import { type CallerToken, DEFAULT_EDGE_LIMITS, type EdgeLimits, type EdgeOptions } from "./edge-options.ts";
import { allowedNames } from "./http-checks.ts";
import { answerBroken, answerConnect, answerExpectation, type RequestDeps, serve } from "./http-request.ts";
import { LegacySessions } from "./legacy-sessions.ts";
import { ModernLegs } from "./modern-legs.ts";
import { mountAt } from "./mount.ts";
import { OpenAnswers } from "./open-answers.ts";

/** An edge over HTTP. */
export interface HttpEdgeOptions extends EdgeOptions {
  /** Port 0 takes any free one. */
  readonly listen: { readonly host: string; readonly port: number };
  readonly tokens: readonly CallerToken[];
  /** TLS of the listener; plain HTTP without it. */
  readonly tls?: EdgeTls;
  /** Gives the listener renewed certificates, until what it returns is called. */
  readonly renewTls?: (server: SecureServer) => () => void;
  /** Whose client certificates stand for whom. */
  readonly certificates?: CertificateRules;
  /** Makes the OAuth side, which takes access tokens, once the address is known. */
  readonly makeServer?: (origin: string) => ResourceServer;
  /** Values of `Host` beside localhost, 127.0.0.1 and [::1] with the port that is listened on. */
  readonly allowedHosts?: readonly string[];
  /** Values of `Origin` that browsers may send; none by default. */
  readonly allowedOrigins?: readonly string[];
}

/** A running edge. */
export interface HttpEdge {
  /** `http://host:port`, or `https:` with TLS; without a slash at the end. */
  readonly url: string;
  /** Ends idle connections at once, lets calls in flight end within `closeMs`, refuses new ones. */
  readonly close: () => Promise<void>;
}

/**
 * Listens and serves.
 *
 * @throws {StoreError} ERR_SERVICE_START if the address cannot be listened on
 */
export async function startHttpEdge(options: HttpEdgeOptions): Promise<HttpEdge> {
  const limits = { ...DEFAULT_EDGE_LIMITS, ...options.limits };
  const server = makeHttpServer(options, limits);
  const port = await listen(server, options.listen);
  const stopRenewing = "setSecureContext" in server ? options.renewTls?.(server) : undefined;
  const { host } = options.listen;
  const scheme = options.tls === undefined ? "http" : "https";
  const url = `${scheme}://${host.includes(":") ? `[${host}]` : host}:${port}`;
  let isClosing = false;
  const edge = requestDeps(options, limits, { url, port, isClosing: () => isClosing });
  server.on("request", (request, response) => void serve(edge, request, response));
  server.on("clientError", (error: { code?: string }, socket) => answerBroken(edge, error.code, socket));
  server.on("connect", (_request, socket) => answerConnect(edge, socket));
  server.on("checkExpectation", (request, response) => void answerExpectation(edge, request, response));
  const close = async (): Promise<void> => {
    isClosing = true;
    stopRenewing?.();
    await edge.sessions.close();
    await closeServer(server, edge, limits.closeMs);
    await edge.modernLegs.close();
  };
  return { url, close };
}

function makeHttpServer({ tls }: HttpEdgeOptions, limits: EdgeLimits): Server | TlsServer {
  // A request without a Host is refused here, with a receipt, and not by Node.
  const bounds = { maxHeaderSize: limits.maxHeaderBytes, requestTimeout: 2 * limits.bodyMs, requireHostHeader: false };
  return tls === undefined ? createServer(bounds) : createTlsServer({ ...bounds, ...serverOptions(tls) });
}

function requestDeps(
  options: HttpEdgeOptions,
  limits: EdgeLimits,
  { url, port, isClosing }: { readonly url: string; readonly port: number; readonly isClosing: () => boolean },
): RequestDeps & { readonly modernLegs: ModernLegs } {
  const server = options.makeServer?.(url);
  const { pipeline, logger, nowMs } = options;
  const { maxSessions, sessionIdleMs: idleMs } = limits;
  const modernLegs = new ModernLegs({ pipeline, logger, nowMs, maxSessions, idleMs });
  const dispatcher = makeDispatcher({ ...options, modernLegs, scopes: server });
  return {
    ...options,
    server,
    limits,
    modernLegs,
    dispatcher,
    maxBodyBytes: limits.maxBodyBytes,
    bodyDeadlines: new Deadlines(limits.bodyMs),
    answers: new OpenAnswers(),
    sessions: makeSessions(options, limits, dispatcher),
    allowed: allowedNames(port, options.allowedHosts ?? [], options.allowedOrigins ?? []),
    authenticate: makeAuthenticate({
      configured: makeConfigured(options.tokens),
      server,
      certificates: options.certificates ?? NO_CERTIFICATES,
      clientAuth: options.tls?.clientAuth ?? "none",
      nowMs: options.nowMs,
    }),
    isClosing,
  };
}

/** How long the outcomes of calls may take that the end of the connections has cancelled. */
const CUT_MS = 2_000;
const NO_CERTIFICATES: CertificateRules = { authorities: [], principals: [], spiffe: new Map() };

function makeSessions(options: HttpEdgeOptions, limits: EdgeLimits, dispatcher: Dispatcher): LegacySessions {
  return new LegacySessions({
    tasks: dispatcher.tasks,
    rules: options.rules,
    pipeline: options.pipeline,
    logger: options.logger,
    nowMs: options.nowMs,
    randomBytes: options.randomBytes,
    maxSessions: limits.maxSessions,
    idleMs: limits.sessionIdleMs,
    maxAgeMs: limits.sessionMaxAgeMs,
    changes: options.changes,
    serversOf: (path) => mountAt(options.catalog, path)?.serverIds ?? [],
    onEnd: ({ caller, key }, reason) => {
      const sealed = dispatcher.endSession(caller, key).then(() => options.pipeline.sealSession(caller, key, reason));
      sealed.catch((error: unknown) => {
        options.logger.error({ code: errorCode(error) }, "a session could not be sealed");
      });
    },
  });
}

/**
 * Connections that may wait to be taken. Node takes one in each turn of its loop, so a crowd of agents waits; above the
 * bound the system forgets connections that the agents believe to have.
 */
const BACKLOG = 4_096;

function listen(server: Server, { host, port }: HttpEdgeOptions["listen"]): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", (cause) => {
      reject(cannotListen("listen", { host, port }, cause));
    });
    server.listen({ port, host, backlog: BACKLOG }, () => {
      const address = server.address();
      resolve(typeof address === "object" && address !== null ? address.port : port);
    });
  });
}

/**
 * Stops taking connections, waits for calls and their answers, then ends every connection that is left. A call that this cuts
 * off is cancelled, and has its outcome before the edge is closed.
 */
async function closeServer(
  server: Server,
  { dispatcher, answers }: Pick<RequestDeps, "dispatcher" | "answers">,
  limitMs: number,
): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  await within(limitMs, Promise.all([dispatcher.drained(), answers.written()]));
  server.closeAllConnections();
  await closed;
  await within(CUT_MS, dispatcher.drained());
}

/** Waits for the promise, and no longer than so many milliseconds. */
async function within(limitMs: number, work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, limitMs);
  });
  await Promise.race([work, limit]);
  clearTimeout(timer);
}
