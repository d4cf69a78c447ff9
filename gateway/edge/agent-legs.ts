/**
 * The sessions that one session of an agent has at legacy servers: one at each, opened by its first call, ended with the
 * agent's. What a server says on one of them is this agent's.
 */

import { formatUtf8 } from "../../kernel/bytes.ts";
import { isJsonObject } from "../../kernel/json/value.ts";
import type { LegAgent, Upstream, UpstreamLeg } from "../upstream/upstream.ts";
import { messageToAgent, mirroredCapabilities } from "../wire/bridge.ts";
import type { RpcNotification, RpcRequest } from "../wire/rpc.ts";
import { type AskedAgent, askAgent } from "./ask-agent.ts";
import type { ReceiptDeps } from "./call-receipts.ts";

/** A call that runs on a leg: where what belongs to it goes. */
export interface LegCall {
  readonly notify: ((message: Uint8Array) => void) | undefined;
  readonly signal: AbortSignal;
}

/** What legs are made with. */
export interface AgentLegsOptions extends ReceiptDeps {
  readonly agent: AskedAgent;
  /** Text of the capabilities that the agent declared. */
  readonly capabilities: string;
  /** Sends what belongs to no call; false if the agent has no stream open. */
  readonly tell: (message: Uint8Array) => boolean;
}

/** What a server may say outside of requests, and goes on as it is. */
const PASSED: ReadonlySet<string> = new Set(["notifications/message", "notifications/elicitation/complete"]);
/** Subscriptions of one session. */
const MAX_SUBSCRIPTIONS = 1_000;

/** The legs of one session. */
export class AgentLegs {
  readonly #options: AgentLegsOptions;
  readonly #legs = new Map<string, UpstreamLeg>();
  readonly #calls = new Map<string, LegCall>();
  readonly #subscribed = new Set<string>();
  readonly #ended = new AbortController();
  #isListening = false;

  constructor(options: AgentLegsOptions) {
    this.#options = options;
  }

  /** The leg to this server; undefined if all agents share what it has. */
  leg(upstream: Upstream): UpstreamLeg | undefined {
    const known = this.#legs.get(upstream.id);
    if (known !== undefined || upstream.openLeg === undefined || this.#ended.signal.aborted) return known;
    const leg = upstream.openLeg(this.#side(upstream));
    this.#legs.set(upstream.id, leg);
    if (this.#isListening) leg.listen();
    return leg;
  }

  /** Runs a call on a leg; what the server says meanwhile on its stream is the call's. */
  async during<T>(serverId: string, id: number, call: LegCall, run: () => Promise<T>): Promise<T> {
    const key = `${serverId} ${id}`;
    this.#calls.set(key, call);
    try {
      return await run();
    } finally {
      this.#calls.delete(key);
    }
  }

  /** The agent takes what belongs to no call: from these servers, from now on. */
  listen(upstreams: Iterable<Upstream>): void {
    this.#isListening = true;
    for (const upstream of upstreams) this.leg(upstream)?.listen();
  }

  /** Changes of this resource are passed on; the oldest subscription of many is forgotten. */
  subscribe(serverId: string, uri: string): void {
    this.#subscribed.add(`${serverId} ${uri}`);
    const [oldest] = this.#subscribed;
    if (this.#subscribed.size > MAX_SUBSCRIPTIONS && oldest !== undefined) this.#subscribed.delete(oldest);
  }

  unsubscribe(serverId: string, uri: string): void {
    this.#subscribed.delete(`${serverId} ${uri}`);
  }

  /** Sets the least level of log messages at every server that has this agent's session. */
  async setLevel(upstreams: readonly Upstream[], level: string): Promise<void> {
    await Promise.all(
      upstreams.map(async (upstream) => {
        const leg = this.leg(upstream);
        if (leg === undefined) return;
        const id = leg.nextId();
        const bytes = formatUtf8(JSON.stringify({ jsonrpc: "2.0", id, method: "logging/setLevel", params: { level } }));
        await leg.request({ id, method: "logging/setLevel", headers: {}, bytes, signal: this.#ended.signal });
      }),
    );
  }

  /** Tells every server with a session. */
  async notifyAll(message: Uint8Array): Promise<void> {
    await Promise.all([...this.#legs.values()].map((leg) => leg.notify(message)));
  }

  /** The legs that are open. */
  get open(): ReadonlyMap<string, UpstreamLeg> {
    return this.#legs;
  }

  async close(): Promise<void> {
    this.#ended.abort();
    this.#options.agent.asks.cancelAll();
    await Promise.all([...this.#legs.values()].map((leg) => leg.close()));
  }

  #side(upstream: Upstream): LegAgent {
    const { agent, capabilities } = this.#options;
    return {
      revision: agent.revision,
      capabilities: mirroredCapabilities(capabilities),
      onRequest: (message, received, related) => this.#ask(upstream, message, received, related),
      onNotification: (message, related) => this.#pass(upstream.id, message, related),
    };
  }

  #ask(
    upstream: Upstream,
    message: RpcRequest,
    received: Uint8Array,
    related: number | undefined,
  ): Promise<Uint8Array> {
    const { agent, tell } = this.#options;
    const call = related === undefined ? undefined : this.#calls.get(`${upstream.id} ${related}`);
    const signal = call === undefined ? this.#ended.signal : AbortSignal.any([call.signal, this.#ended.signal]);
    const send = (bytes: Uint8Array): boolean => {
      if (call?.notify === undefined) return tell(bytes);
      call.notify(bytes);
      return true;
    };
    const facts = this.#legs.get(upstream.id)?.facts() ?? upstream.facts();
    return askAgent(this.#options, agent, { serverId: upstream.id, upstream: facts, message, received, send, signal });
  }

  #pass(serverId: string, message: RpcNotification, related: number | undefined): void {
    const { agent, tell, logger } = this.#options;
    const { method, params, text } = message;
    if (method.endsWith("/list_changed")) return;
    const isUpdate = method === "notifications/resources/updated";
    const uri = isJsonObject(params) ? params["uri"] : undefined;
    if (isUpdate && !(typeof uri === "string" && this.#subscribed.has(`${serverId} ${uri}`))) return;
    if (!isUpdate && !PASSED.has(method)) {
      logger.warn({ server: serverId }, "a notification that the gateway does not carry was dropped");
      return;
    }
    const bytes = messageToAgent(text, agent.transport === "stdio");
    const call = related === undefined ? undefined : this.#calls.get(`${serverId} ${related}`);
    if (call?.notify === undefined) tell(bytes);
    else call.notify(bytes);
  }
}
