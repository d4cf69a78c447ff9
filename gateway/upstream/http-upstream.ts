/**
 * A server over Streamable HTTP: modern if `server/discover` says so, else a legacy session. A session that the server has
 * forgotten (404) is opened anew, once; no other request is ever repeated.
 */

import { StoreError } from "../../kernel/errors.ts";
import { MODERN_REVISION } from "../wire/revisions.ts";
import { rawAt } from "../wire/spans.ts";
import { type HttpReplied, type HttpSite, postRequest } from "./http-exchange.ts";
import { type Leg, legacyLeg, modernLeg } from "./leg.ts";
import { answerPing, makeNotices, type Notices } from "./notices.ts";
import {
  cancelledNotification,
  discoverRequest,
  INITIALIZED,
  initializeRequest,
  ownRequest,
  refusedRequest,
  resultOf,
} from "./own-request.ts";
import { listSurface } from "./surface.ts";
import type { Upstream, UpstreamDeps, UpstreamReply, UpstreamRequest } from "./upstream.ts";
import type { HttpUpstreamConfig } from "./upstream-config.ts";
import { DEFAULT_UPSTREAM_LIMITS, type UpstreamLimits } from "./upstream-limits.ts";

/** A handshake that is done. */
interface Session {
  readonly leg: Leg;
  readonly id: string | undefined;
}

/** Statuses that say nothing about the era. */
const INCONCLUSIVE: ReadonlySet<number> = new Set([0, 401, 403, 407, 408, 429]);
const CLOSE_MS = 2_000;

/**
 * Finds the server's era and opens a session if it is legacy.
 *
 * @throws {StoreError} ERR_UPSTREAM
 */
export async function connectHttp(config: HttpUpstreamConfig, deps: UpstreamDeps): Promise<Upstream> {
  const limits = { ...DEFAULT_UPSTREAM_LIMITS, ...deps.limits };
  const notices = makeNotices();
  const link = new Link(config, deps, limits, notices);
  await link.connect();
  const { id } = config;
  return {
    id,
    identity: { kind: "http", url: config.url },
    attributes: config.attributes,
    facts: () => ({
      transport: "http",
      era: link.leg.era,
      revision: link.leg.revision,
      auth: deps.bearerTokens.has(id) ? "shared" : "none",
    }),
    nextId: () => link.nextId(),
    watch: notices.watch,
    request: (request) => link.request(request),
    listSurface: async () => {
      await link.rediscover();
      const { leg } = link;
      return listSurface(
        leg,
        id,
        (method, params) => link.request(ownRequest(link.nextId(), method, params, leg.era, deps.software)),
        limits,
      );
    },
    close: () => link.close(),
  };
}

/** The way to one server. */
class Link {
  readonly #config: HttpUpstreamConfig;
  readonly #deps: UpstreamDeps;
  readonly #site: HttpSite;
  readonly #abort = new AbortController();
  #session: Session | undefined;
  #reopening: Promise<void> | undefined;
  #lastId = 0;

  constructor(config: HttpUpstreamConfig, deps: UpstreamDeps, limits: UpstreamLimits, notices: Notices) {
    this.#config = config;
    this.#deps = deps;
    this.#site = {
      url: config.url,
      fetch: deps.fetch,
      limits,
      onMessage: (message, received) => {
        if (message.type === "notification") return notices.notification(message.method);
        const idText = rawAt(message.text, ["id"]) ?? "null";
        if (message.method === "ping") return void this.#notify(answerPing(idText));
        void this.#notify(refusedRequest(idText));
        notices.refusedRequest(message.method, received);
      },
    };
  }

  get leg(): Leg {
    if (this.#session === undefined) throw new StoreError("ERR_UPSTREAM", `${this.#config.id}: not connected`);
    return this.#session.leg;
  }

  nextId(): number {
    this.#lastId += 1;
    return this.#lastId;
  }

  /** @throws {StoreError} ERR_UPSTREAM */
  async connect(): Promise<void> {
    const probe = await this.#post(discoverRequest(this.nextId(), this.#deps.software), MODERN_HEADERS);
    const isOpen = !INCONCLUSIVE.has(probe.status) && probe.status < 500;
    if (!isOpen) throw this.#unreachable(probe);
    const leg = modernLeg(resultOf(probe.reply) ?? {});
    if (leg === undefined) await this.#openSession();
    else this.#session = { leg, id: undefined };
  }

  /** Asks a modern server again what it is: capabilities and instructions may have changed. A legacy one said it once. */
  async rediscover(): Promise<void> {
    if (this.leg.era === "legacy") return;
    const found = await this.#post(discoverRequest(this.nextId(), this.#deps.software), MODERN_HEADERS);
    const leg = modernLeg(resultOf(found.reply) ?? {});
    if (leg === undefined) throw this.#unreachable(found);
    this.#session = { leg, id: undefined };
  }

  async request(request: UpstreamRequest): Promise<UpstreamReply> {
    const session = this.#session;
    const first = await this.#post(request, this.#legHeaders());
    const isForgotten = first.status === 404 && session?.id !== undefined && first.reply.type === "failed";
    if (!isForgotten) return this.#tell(request, first.reply);
    // SPEC MCP 2025-11-25: 404 to a request with a session id means that the session is gone; nothing was executed.
    try {
      if (this.#session === session) await this.#reopen();
    } catch {
      return first.reply;
    }
    return this.#tell(request, (await this.#post(request, this.#legHeaders())).reply);
  }

  async close(): Promise<void> {
    this.#abort.abort();
    const session = this.#session;
    if (session?.id === undefined) return;
    const headers = { ...this.#baseHeaders(), ...this.#legHeaders() };
    const signal = AbortSignal.timeout(CLOSE_MS);
    const { fetch, url } = this.#site;
    const ended = await fetch(url, { method: "DELETE", headers, redirect: "manual", signal }).catch(() => undefined);
    await ended?.body?.cancel();
  }

  /** A legacy server is told when nobody waits any more; a modern one sees the stream close. */
  #tell(request: UpstreamRequest, reply: UpstreamReply): UpstreamReply {
    const isAbandoned = reply.type === "failed" && (reply.status === "cancelled" || reply.status === "timeout");
    if (isAbandoned && this.#session?.leg.era === "legacy") void this.#notify(cancelledNotification(request.id));
    return reply;
  }

  async #openSession(): Promise<void> {
    const opened = await this.#post(initializeRequest(this.nextId(), this.#deps.software), {});
    const leg = legacyLeg(resultOf(opened.reply) ?? {});
    if (leg === undefined) throw this.#unreachable(opened);
    this.#session = { leg, id: opened.sessionId };
    await this.#notify(INITIALIZED);
  }

  /** Requests that find the session gone at once share one opening. */
  #reopen(): Promise<void> {
    this.#reopening ??= this.#openSession().finally(() => {
      this.#reopening = undefined;
    });
    return this.#reopening;
  }

  #post(request: UpstreamRequest, headers: Readonly<Record<string, string>>): Promise<HttpReplied> {
    const signal = AbortSignal.any([request.signal, this.#abort.signal]);
    return postRequest(this.#site, { ...request, signal }, { ...this.#baseHeaders(), ...headers, ...request.headers });
  }

  /** Sends a message that has no response; whether it arrives is the server's loss. */
  async #notify(message: Uint8Array): Promise<void> {
    const headers = { ...this.#baseHeaders(), ...this.#legHeaders() };
    const { fetch, url, limits } = this.#site;
    const signal = AbortSignal.timeout(limits.firstByteMs);
    const init = { method: "POST", headers, body: message, redirect: "manual", signal } as const;
    const response = await fetch(url, init).catch(() => undefined);
    await response?.body?.cancel();
  }

  #baseHeaders(): Record<string, string> {
    const { software, bearerTokens } = this.#deps;
    const token = bearerTokens.get(this.#config.id);
    return {
      "Content-Type": "application/json",
      Accept: "application/json, text/event-stream",
      "Accept-Encoding": "identity",
      "User-Agent": `${software.name}/${software.version}`,
      ...(token === undefined ? {} : { Authorization: `Bearer ${token}` }),
    };
  }

  #legHeaders(): Record<string, string> {
    const session = this.#session;
    if (session === undefined) return {};
    const { era, revision } = session.leg;
    if (era === "modern") return MODERN_HEADERS;
    const version: Record<string, string> = revision < "2025-06-18" ? {} : { "MCP-Protocol-Version": revision };
    return session.id === undefined ? version : { ...version, "Mcp-Session-Id": session.id };
  }

  #unreachable({ reply, status }: HttpReplied): StoreError {
    const why = reply.type === "failed" ? reply.reason : `HTTP ${status}`;
    return new StoreError("ERR_UPSTREAM", `${this.#config.id}: no MCP server answers (${why}, HTTP ${status})`);
  }
}

const MODERN_HEADERS: Record<string, string> = { "MCP-Protocol-Version": MODERN_REVISION };
