/**
 * The way to one server over Streamable HTTP: modern, or one legacy session, the gateway's own or one agent's. A session
 * that the server has forgotten (404) is opened anew, once; no other request is ever repeated.
 */

import { StoreError } from "../../kernel/errors.ts";
import { MODERN_REVISION } from "../wire/revisions.ts";
import type { RpcRequest } from "../wire/rpc.ts";
import { rawAt } from "../wire/spans.ts";
import { Cancellation, type CancelSignal, firstOf } from "./cancellation.ts";
import type { SiteFetch } from "./http-client.ts";
import { type HttpReplied, type HttpSite, postRequest, type ServerMessage } from "./http-exchange.ts";
import { followStream } from "./http-stream.ts";
import { type Leg, legacyLeg, modernLeg } from "./leg.ts";
import { followListen, type Listening, requestsOf } from "./listen-stream.ts";
import { answerPing, type Notices, TASK_NOTICE } from "./notices.ts";
import {
  cancelledNotification,
  discoverRequest,
  INITIALIZED,
  initializeRequest,
  listenMessage,
  listenToLists,
  refusedRequest,
  resultOf,
  taskListenMessage,
  taskStateRequest,
} from "./own-request.ts";
import { RequestClock } from "./request-clock.ts";
import { siteHeaders } from "./site-headers.ts";
import { statusInNotice, statusInReply, TaskStatusOrder } from "./task-status.ts";
import type { LegAgent, ServerTaskStatus, UpstreamDeps, UpstreamReply, UpstreamRequest } from "./upstream.ts";
import type { HttpUpstreamConfig } from "./upstream-config.ts";
import type { UpstreamLimits } from "./upstream-limits.ts";

/** A handshake that is done. */
interface Session {
  readonly leg: Leg;
  readonly id: string | undefined;
  /** Of each request in it, beside its own. */
  readonly headers: Readonly<Record<string, string>>;
}

/** What a link is made of. */
export interface LinkOptions {
  readonly config: HttpUpstreamConfig;
  readonly deps: UpstreamDeps;
  readonly fetch: SiteFetch;
  readonly limits: UpstreamLimits;
  readonly notices: Notices;
  /** Our ids, for all links to one server. */
  readonly nextId: () => number;
  /** The agent whose session it is; undefined for the gateway's own. */
  readonly agent?: LegAgent;
}

/** Statuses that say nothing about the era. */
const INCONCLUSIVE: ReadonlySet<number> = new Set([0, 401, 403, 407, 408, 429]);
const CLOSE_MS = 2_000;
/** Requests of a server that are being answered. */
const MAX_REPLIES = 256;

/** The way to one server. */
export class Link {
  readonly #options: LinkOptions;
  readonly #site: HttpSite;
  readonly #abort = new AbortController();
  /** The same, for calls: each listens while it is under way. */
  readonly #closing = new Cancellation();
  /** Of every request, also outside of a session. */
  readonly #headers: Readonly<Record<string, string>>;
  #session: Session | undefined;
  /** The legacy side of a server that is modern, too. */
  #legacy: Leg | undefined;
  #opening: Promise<void> | undefined;
  #isListening = false;
  #mayBeOlder = false;
  #replies = 0;

  constructor(options: LinkOptions) {
    this.#options = options;
    this.#headers = siteHeaders(options);
    this.#site = {
      url: options.config.url,
      fetch: options.fetch,
      limits: options.limits,
      closing: this.#closing,
      onMessage: (message, received, related) => this.#receive(message, received, related),
      resumeHeaders: () => this.#streamHeaders(),
    };
  }

  get isOpen(): boolean {
    return this.#session !== undefined;
  }

  get leg(): Leg {
    if (this.#session === undefined) throw new StoreError("ERR_UPSTREAM", `${this.#options.config.id}: not connected`);
    return this.#session.leg;
  }

  /** True if the server opens legacy sessions. */
  get servesLegacy(): boolean {
    return this.leg.era === "legacy" || this.#legacy !== undefined;
  }

  /** True if the server refused the POST of a handshake, as one of 2024-11-05 does. */
  get mayBeOlder(): boolean {
    return this.#mayBeOlder;
  }

  /** What the server said at the start of a legacy session. */
  get legacy(): { readonly leg: Leg } {
    return { leg: this.#legacy ?? this.leg };
  }

  /** @throws {StoreError} ERR_UPSTREAM */
  async connect(): Promise<void> {
    const { nextId, deps } = this.#options;
    const probe = await this.#post(discoverRequest(nextId(), deps.software), MODERN_HEADERS);
    const isOpen = !INCONCLUSIVE.has(probe.status) && probe.status < 500;
    if (!isOpen) throw this.#unreachable(probe);
    const leg = modernLeg(resultOf(probe.reply) ?? {});
    if (leg === undefined) await this.#openSession();
    else {
      this.#legacy = await this.#probeLegacy();
      this.#begin(leg, undefined);
    }
    this.listen();
  }

  /** Whether a modern server opens legacy sessions as well: one is opened, and ended at once. */
  async #probeLegacy(): Promise<Leg | undefined> {
    const { nextId, deps, limits } = this.#options;
    const request = initializeRequest(nextId(), deps.software);
    const opened = await this.#post({ ...request, signal: AbortSignal.timeout(limits.probeMs) }, {});
    const leg = legacyLeg(resultOf(opened.reply) ?? {});
    if (opened.sessionId !== undefined) await this.#end(opened.sessionId, leg?.revision);
    return leg;
  }

  /** Takes what a legacy server says outside of requests, from now on. */
  listen(): void {
    if (this.#isListening) return;
    this.#isListening = true;
    void Promise.resolve(this.#ready()).then(
      () => (this.leg.era === "modern" ? this.#listenToLists() : this.#followStream()),
      () => undefined,
    );
  }

  #followStream(): Promise<void> {
    const { notices, agent } = this.#options;
    const onGap = agent?.onGap ?? ((): void => notices.changed(undefined));
    return followStream(this.#site, () => this.#streamHeaders(), onGap, this.#abort.signal);
  }

  /** A modern server tells of changes of its lists to those who listen: the gateway does, for all its agents. */
  async #listenToLists(): Promise<void> {
    const { notices, nextId, deps } = this.#options;
    const { capabilities } = this.leg;
    const first = listenToLists(nextId, capabilities, deps.software);
    if (first === undefined) return;
    await followListen(this.#site, {
      request: requestsOf(first, () => listenToLists(nextId, capabilities, deps.software) ?? first),
      headers: () => ({ ...this.#headers, ...MODERN_HEADERS }),
      onStarted: () => undefined,
      onNotice: notices.notification,
      onGap: () => notices.changed(undefined),
      signal: this.#abort.signal,
    });
  }

  /** Subscribes to a resource at a modern server. */
  watchResource(request: UpstreamRequest, uri: string, onUpdated: () => void): Promise<UpstreamReply> {
    const { nextId, deps } = this.#options;
    return this.#follow(request, {
      next: () => listenMessage(nextId(), uri, deps.software),
      onNotice: ({ method, params }) => {
        if (method === "notifications/resources/updated" && params["uri"] === uri) onUpdated();
      },
      onGap: onUpdated,
    });
  }

  /** Subscribes to the status of a task at a modern server; behind a break it is asked where the task is. */
  watchTask(
    request: UpstreamRequest,
    taskId: string,
    onStatus: (status: ServerTaskStatus) => void,
  ): Promise<UpstreamReply> {
    const { nextId, deps } = this.#options;
    const order = new TaskStatusOrder(onStatus);
    const askAgain = async (): Promise<void> => {
      const tell = order.ask();
      const reply = await this.request({
        ...taskStateRequest(nextId(), taskId, deps.software),
        signal: request.signal,
      });
      const status = statusInReply(reply);
      if (status !== undefined) tell(status);
    };
    return this.#follow(request, {
      next: () => taskListenMessage(nextId(), taskId, deps.software),
      onNotice: (notice) => {
        if (notice.method === TASK_NOTICE) order.notice(statusInNotice(notice));
      },
      onGap: () => void askAgain(),
    });
  }

  #follow(
    request: UpstreamRequest,
    { next, onNotice, onGap }: Pick<Listening, "onNotice" | "onGap"> & { readonly next: () => UpstreamRequest },
  ): Promise<UpstreamReply> {
    const signal = firstOf([request.signal, this.#abort.signal]);
    return new Promise((resolve) => {
      void followListen(this.#site, {
        request: requestsOf(request, next),
        headers: () => ({ ...this.#headers, ...MODERN_HEADERS }),
        onStarted: resolve,
        onNotice,
        onGap,
        signal,
      }).then(() => resolve({ type: "failed", status: "cancelled", effect: "unknown", reason: "client.cancelled" }));
    });
  }

  /** Headers of a GET; a modern server has none. */
  #streamHeaders(): Record<string, string> | undefined {
    if (this.#session?.leg.era !== "legacy") return undefined;
    return { ...this.#session.headers, Accept: "text/event-stream" };
  }

  async #receive(message: ServerMessage, received: Uint8Array, related: number | undefined): Promise<void> {
    const { notices, agent } = this.#options;
    if (message.type === "notification") {
      notices.notification(message);
      return agent?.onNotification(message, related);
    }
    // A server that asks faster than it takes answers gets no more of them.
    if (this.#replies >= MAX_REPLIES) return;
    this.#replies += 1;
    try {
      await this.notify(await this.#answer(message, received, related));
    } finally {
      this.#replies -= 1;
    }
  }

  async #answer(message: RpcRequest, received: Uint8Array, related: number | undefined): Promise<Uint8Array> {
    const { notices, agent } = this.#options;
    const idText = rawAt(message.text, ["id"]) ?? "null";
    if (message.method === "ping") return answerPing(idText);
    if (agent !== undefined) return agent.onRequest(message, received, related);
    notices.refusedRequest(message.method, received);
    return refusedRequest(idText);
  }

  /** Asks a modern server again what it is: capabilities and instructions may have changed. A legacy one said it once. */
  async rediscover(): Promise<void> {
    if (this.leg.era === "legacy") return;
    const { nextId, deps } = this.#options;
    const found = await this.#post(discoverRequest(nextId(), deps.software), MODERN_HEADERS);
    const leg = modernLeg(resultOf(found.reply) ?? {});
    if (leg === undefined) throw this.#unreachable(found);
    this.#begin(leg, undefined);
  }

  async request(request: UpstreamRequest): Promise<UpstreamReply> {
    try {
      await this.#ready();
    } catch {
      return NOT_OPENED;
    }
    const session = this.#session;
    const first = await this.#postInSession(request);
    const isForgotten = first.status === 404 && session?.id !== undefined && first.reply.type === "failed";
    if (!isForgotten) return this.#tell(request, first.reply);
    // SPEC MCP 2025-11-25: 404 to a request with a session id means that the session is gone; nothing was executed.
    try {
      if (this.#session === session) await this.#open();
    } catch {
      return first.reply;
    }
    return this.#tell(request, (await this.#postInSession(request)).reply);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#abort.abort();
    await this.#opening?.catch(() => undefined);
    const session = this.#session;
    if (session?.id !== undefined) await this.#end(session.id, session.leg.revision);
  }

  async #end(id: string, revision: string | undefined): Promise<void> {
    const headers = { ...this.#headers, ...versionHeader(revision), "Mcp-Session-Id": id };
    const signal = AbortSignal.timeout(CLOSE_MS);
    const { fetch, url } = this.#site;
    const ended = await fetch(url, { method: "DELETE", headers, signal }).catch(() => undefined);
    ended?.cancel();
  }

  /** A legacy server is told when nobody waits any more; a modern one sees the stream close. */
  #tell(request: UpstreamRequest, reply: UpstreamReply): UpstreamReply {
    const isAbandoned = reply.type === "failed" && (reply.status === "cancelled" || reply.status === "timeout");
    if (isAbandoned && this.#session?.leg.era === "legacy") this.#cancel(request.id);
    return reply;
  }

  async #openSession(): Promise<void> {
    const { nextId, deps, agent } = this.#options;
    const opened = await this.#post(initializeRequest(nextId(), deps.software, agent), {});
    const leg = legacyLeg(resultOf(opened.reply) ?? {});
    if (leg === undefined) {
      const { status } = opened;
      this.#mayBeOlder = status >= 400 && status < 500 && !INCONCLUSIVE.has(status);
      throw this.#unreachable(opened);
    }
    this.#begin(leg, opened.sessionId);
    await this.notify(INITIALIZED);
  }

  /** Resolves when there is a session; undefined if there is. Rejects with ERR_UPSTREAM. */
  #ready(): Promise<void> | undefined {
    // Not before `notifications/initialized` has arrived: a server may hold back what it asks until then.
    if (this.#opening !== undefined) return this.#opening;
    return this.#session === undefined && !this.#abort.signal.aborted ? this.#open() : undefined;
  }

  /** Requests that find no session at once share one opening. */
  #open(): Promise<void> {
    this.#opening ??= this.#openSession().finally(() => {
      this.#opening = undefined;
    });
    return this.#opening;
  }

  #post(request: UpstreamRequest, headers: Readonly<Record<string, string>>): Promise<HttpReplied> {
    return postRequest(this.#site, request, { ...this.#headers, ...headers, ...request.headers });
  }

  #postInSession(request: UpstreamRequest): Promise<HttpReplied> {
    return postRequest(this.#site, request, { ...(this.#session?.headers ?? this.#headers), ...request.headers });
  }

  /** Sends a message that has no response; whether it arrives is the server's loss. Nobody waits for one when the link closes. */
  async notify(message: Uint8Array): Promise<void> {
    const clock = new RequestClock(this.#options.limits, [this.#closing]);
    await this.#send(message, clock);
    clock.stop();
  }

  /** Of a link that closes, too: its server learns which calls nobody waits for. */
  #cancel(id: number): void {
    void this.#send(cancelledNotification(id), AbortSignal.timeout(CLOSE_MS));
  }

  async #send(message: Uint8Array, signal: CancelSignal): Promise<void> {
    const { fetch, url } = this.#site;
    const headers = this.#session?.headers ?? this.#headers;
    const response = await fetch(url, { method: "POST", headers, body: message, signal }).catch(() => undefined);
    response?.cancel();
  }

  #begin(leg: Leg, id: string | undefined): void {
    const named = id === undefined ? {} : { "Mcp-Session-Id": id };
    const own = leg.era === "modern" ? MODERN_HEADERS : { ...versionHeader(leg.revision), ...named };
    this.#session = { leg, id, headers: { ...this.#headers, ...own } };
  }

  #unreachable({ reply, status }: HttpReplied): StoreError {
    const why = reply.type === "failed" ? reply.reason : `HTTP ${status}`;
    return new StoreError("ERR_UPSTREAM", `${this.#options.config.id}: no MCP server answers (${why}, HTTP ${status})`);
  }
}

/** Revisions before 2025-06-18 have no such header. */
function versionHeader(revision: string | undefined): Record<string, string> {
  return revision === undefined || revision < "2025-06-18" ? {} : { "MCP-Protocol-Version": revision };
}

const NOT_OPENED: UpstreamReply = {
  type: "failed",
  status: "upstream_error",
  effect: "none",
  reason: "server.unavailable",
};

const MODERN_HEADERS: Record<string, string> = { "MCP-Protocol-Version": MODERN_REVISION };
