/**
 * The sessions that one session of an agent has at legacy servers: one at each, opened by its first call, ended with the
 * agent's. What a server says on one of them is this agent's.
 */

import { formatUtf8 } from "../../kernel/bytes.ts";
import { errorCode } from "../../kernel/errors.ts";
import { isJsonObject, type JsonObject } from "../../kernel/json/value.ts";
import { OldestFirst } from "../oldest-first.ts";
import type { InboundCall } from "../pipeline/call.ts";
import { type CancelSignal, firstOf } from "../upstream/cancellation.ts";
import { levelRequest, unsubscribeRequest } from "../upstream/own-request.ts";
import type { LegAgent, Upstream, UpstreamLeg, UpstreamReply, UpstreamRequest } from "../upstream/upstream.ts";
import { messageToAgent, mirroredCapabilities } from "../wire/bridge.ts";
import type { RpcNotification, RpcRequest } from "../wire/rpc.ts";
import { type AskedAgent, askAgent } from "./ask-agent.ts";
import type { ReceiptDeps } from "./call-receipts.ts";
import { NoticePacer } from "./notice-pacer.ts";
import { keepRefusal } from "./refuse.ts";
import type { RuleChanges } from "./rule-changes.ts";
import { StandingSubscriptions } from "./standing-subscriptions.ts";
import { relatedTask } from "./task-messages.ts";
import { statusToAgent, TASK_STATUS } from "./task-notices.ts";
import { type KeptTask, ownerOf, type TaskTable } from "./task-table.ts";

/** A call that runs on a leg: where what belongs to it goes. */
export interface LegCall {
  readonly notify: ((message: Uint8Array) => void) | undefined;
  /** What is no question: it is looked at first. */
  readonly pass: ((message: Uint8Array) => void) | undefined;
  readonly signal: CancelSignal;
}

/** What legs are made with. */
export interface AgentLegsOptions extends ReceiptDeps {
  readonly agent: AskedAgent;
  readonly tasks: Pick<TaskTable, "atServer" | "promised" | "renew">;
  readonly rules: RuleChanges;
  /** Text of the capabilities that the agent declared. */
  readonly capabilities: string;
  /** Sends what belongs to no call; false if the agent has no stream open. */
  readonly tell: (message: Uint8Array) => boolean;
}

/** What a server may say outside of requests, and goes on as it is. */
const PASSED: ReadonlySet<string> = new Set(["notifications/message", "notifications/elicitation/complete"]);
/** Subscriptions of one session. */
const MAX_SUBSCRIPTIONS = 1_000;
/** Things that one session is told of when they happen. */
const MAX_TOLD = 64;
/** Notices of tasks that wait. */
const MAX_STATUSES = 256;

/** `1` is not `"1"`. */
function questionKey(serverId: string, id: unknown): string {
  return `${serverId} ${JSON.stringify(id)}`;
}

/** What the acknowledgement of a modern server is to a legacy agent. */
function acknowledged(id: number): { readonly text: string; readonly body: JsonObject } {
  const body = { jsonrpc: "2.0", id, result: {} };
  return { text: JSON.stringify(body), body };
}

/** A change of a list, in our words. */
export function listChangedNotice(list: string): Uint8Array {
  return formatUtf8(JSON.stringify({ jsonrpc: "2.0", method: `notifications/${list}/list_changed` }));
}

/** A change of a resource, in our words. */
export function updatedNotice(uri: string): Uint8Array {
  return formatUtf8(JSON.stringify({ jsonrpc: "2.0", method: "notifications/resources/updated", params: { uri } }));
}

/** The legs of one session. */
export class AgentLegs {
  readonly #options: AgentLegsOptions;
  readonly #legs = new Map<string, UpstreamLeg>();
  readonly #calls = new Map<string, LegCall>();
  readonly #subscriptions: StandingSubscriptions;
  /** Subscriptions at servers where this agent has no session of its own. */
  readonly #watches = new OldestFirst<string, AbortController>(MAX_SUBSCRIPTIONS);
  readonly #updates: NoticePacer;
  /** Of watches whose subscription is not recorded yet: what changed meanwhile. */
  readonly #early = new Set<string>();
  /** What servers ask now, by their ids: a server may take a question back. */
  readonly #questions = new Map<string, AbortController>();
  readonly #ended = new AbortController();
  readonly #told = new Set<string>();
  /** What servers say of tasks. */
  #statuses: Promise<void> = Promise.resolve();
  #waitingStatuses = 0;
  #isListening = false;

  constructor(options: AgentLegsOptions) {
    this.#options = options;
    this.#subscriptions = new StandingSubscriptions(options, ({ serverId, target }) =>
      this.#stopAt(serverId, target.name),
    );
    this.#updates = new NoticePacer((key) => this.#tellUpdate(key));
    this.#updates.start();
  }

  /** Whose they are, for what it is asked. */
  get agent(): AskedAgent {
    return this.#options.agent;
  }

  /** The leg to this server; undefined if all agents share what it has. */
  leg(upstream: Upstream): UpstreamLeg | undefined {
    const known = this.#legs.get(upstream.id);
    if (known !== undefined || upstream.openLeg === undefined || this.#ended.signal.aborted) return known;
    const leg = upstream.openLeg(this.#side(upstream));
    if (leg === undefined) return undefined;
    this.#legs.set(upstream.id, leg);
    if (this.#isListening) leg.listen();
    return leg;
  }

  /** True if this agent has a session of its own at the server. */
  has(serverId: string): boolean {
    return this.#legs.has(serverId);
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

  /**
   * Changes of this resource are passed on.
   *
   * @param call  the subscription as it was let through
   * @param rulesBefore  changes of rules before it was decided
   */
  subscribe(call: InboundCall, rulesBefore: number): void {
    this.#subscriptions.add(call, this.#options.rules.count !== rulesBefore);
    const key = `${call.serverId} ${call.target.name}`;
    if (this.#early.delete(key)) this.#tellUpdate(key);
  }

  /** A change that comes before its subscription is recorded waits for it. */
  #tellUpdate(key: string): void {
    const at = key.indexOf(" ");
    const [serverId, uri] = [key.slice(0, at), key.slice(at + 1)];
    if (!this.#subscriptions.has(serverId, uri) && this.#early.size < MAX_SUBSCRIPTIONS) this.#early.add(key);
    this.#subscriptions.changed(serverId, uri, () => void this.#options.tell(updatedNotice(uri)));
  }

  unsubscribe(serverId: string, uri: string): void {
    this.#subscriptions.delete(serverId, uri);
    this.#stopWatch(`${serverId} ${uri}`);
  }

  #stopWatch(key: string): void {
    this.#early.delete(key);
    this.#watches.get(key)?.abort();
    this.#watches.delete(key);
  }

  /** The server need not tell of it any more. */
  #stopAt(serverId: string, uri: string): void {
    const leg = this.#legs.get(serverId);
    this.#stopWatch(`${serverId} ${uri}`);
    if (leg !== undefined) void leg.request(unsubscribeRequest(leg.nextId(), uri, this.#ended.signal));
  }

  /**
   * Subscribes at a server where this agent has no session of its own, until it unsubscribes or its session ends.
   *
   * @param uri  at the server
   * @returns the server's answer, as one to `resources/subscribe`
   */
  async watch(upstream: Upstream, request: UpstreamRequest, uri: string): Promise<UpstreamReply> {
    const key = `${upstream.id} ${uri}`;
    const stop = new AbortController();
    const cancel = (): void => stop.abort();
    request.signal.addEventListener("abort", cancel, { once: true });
    const reply = await upstream.watchResource({ ...request, signal: stop.signal }, uri, () => this.#updates.push(key));
    request.signal.removeEventListener("abort", cancel);
    const isTaken = reply.type === "answered" && reply.body["error"] === undefined;
    if (!isTaken || this.#ended.signal.aborted) stop.abort();
    else this.#keepWatch(key, stop);
    return isTaken ? { ...reply, ...acknowledged(request.id) } : reply;
  }

  /** One for each resource; the oldest of many is given up. */
  #keepWatch(key: string, stop: AbortController): void {
    this.#watches.get(key)?.abort();
    this.#watches.set(key, stop);
    this.#watches.trim((oldest) => oldest.abort());
  }

  /** Tells the agent once what comes of `until`, if it comes while the session is open; what is told already waits only once. */
  tellOnce(key: string, message: Uint8Array, until: (signal: AbortSignal) => Promise<boolean>): void {
    if (this.#told.has(key) || this.#told.size >= MAX_TOLD || this.#ended.signal.aborted) return;
    this.#told.add(key);
    void until(this.#ended.signal)
      .then((isSo) => isSo && !this.#ended.signal.aborted && this.#options.tell(message))
      .finally(() => this.#told.delete(key));
  }

  /** Sets the least level of log messages at every server that has this agent's session. */
  async setLevel(upstreams: readonly Upstream[], level: string): Promise<void> {
    await Promise.all(
      upstreams.map(async (upstream) => {
        const leg = this.leg(upstream);
        if (leg === undefined) return;
        await leg.request(levelRequest(leg.nextId(), level, this.#ended.signal));
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
    this.#updates.stop();
    this.#subscriptions.close();
    for (const stop of this.#watches.values()) stop.abort();
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
      onGap: () => this.#tellAll(upstream.id),
    };
  }

  #ask(
    upstream: Upstream,
    message: RpcRequest,
    received: Uint8Array,
    related: number | undefined,
  ): Promise<Uint8Array> {
    const { agent, tell } = this.#options;
    const call = this.#callOf(upstream.id, related);
    const taken = new AbortController();
    const key = questionKey(upstream.id, message.id);
    this.#questions.set(key, taken);
    const signal = firstOf([taken.signal, this.#ended.signal, ...(call === undefined ? [] : [call.signal])]);
    const send = (bytes: Uint8Array): boolean => {
      if (call?.notify === undefined) return tell(bytes);
      call.notify(bytes);
      return true;
    };
    const facts = this.#legs.get(upstream.id)?.facts() ?? upstream.facts();
    const task = this.#taskOf(upstream.id, message);
    const asking = { serverId: upstream.id, upstream: facts, message, received, send, signal, ...task };
    return askAgent(this.#options, agent, asking).finally(() => {
      if (this.#questions.get(key) === taken) this.#questions.delete(key);
    });
  }

  /** The task to which the server says that a question belongs. */
  #taskOf(serverId: string, message: RpcRequest): { readonly task?: KeptTask | "unknown" } {
    const upstreamId = relatedTask(message.value, "params");
    if (upstreamId === undefined) return {};
    const owner = ownerOf(this.#options.agent);
    return { task: this.#options.tasks.atServer(serverId, owner, "legacy", upstreamId) ?? "unknown" };
  }

  /** Something may have been missed of whatever the agent subscribed to at this server. */
  #tellAll(serverId: string): void {
    for (const uri of this.#subscriptions.of(serverId)) {
      this.#subscriptions.changed(serverId, uri, () => void this.#options.tell(updatedNotice(uri)));
    }
  }

  #pass(serverId: string, message: RpcNotification, related: number | undefined): void {
    const { logger } = this.#options;
    const { method, params } = message;
    if (method.endsWith("/list_changed")) return;
    if (method === "notifications/cancelled") {
      this.#questions.get(questionKey(serverId, params["requestId"]))?.abort();
      return;
    }
    if (method === TASK_STATUS) {
      this.#queueStatus(serverId, message, related);
      return;
    }
    const isUpdate = method === "notifications/resources/updated";
    const uri = isJsonObject(params) ? params["uri"] : undefined;
    if (!isUpdate && !PASSED.has(method)) {
      logger.warn({ server: serverId }, "a notification that the gateway does not carry was dropped");
      return;
    }
    const pass = (): void => this.#passLooked(serverId, message, related);
    if (!isUpdate) pass();
    else if (typeof uri === "string") this.#subscriptions.changed(serverId, uri, pass);
  }

  /** As the server wrote it, if inspection finds nothing that keeps it back. */
  #passLooked(serverId: string, { method, text }: RpcNotification, related: number | undefined): void {
    const { agent, tell, pipeline } = this.#options;
    const bytes = messageToAgent(text, agent.transport === "stdio");
    const call = this.#callOf(serverId, related);
    if (call?.pass !== undefined) call.pass(bytes);
    else if (pipeline.mayTell(bytes)) tell(bytes);
    else void this.#refuseNotice(serverId, method, bytes);
  }

  #callOf(serverId: string, related: number | undefined): LegCall | undefined {
    return related === undefined ? undefined : this.#calls.get(`${serverId} ${related}`);
  }

  /** One after the other; each waits for receipts, and what comes faster than those is dropped. */
  #queueStatus(serverId: string, message: RpcNotification, related: number | undefined): void {
    if (this.#waitingStatuses >= MAX_STATUSES) return;
    this.#waitingStatuses += 1;
    this.#statuses = this.#statuses
      .then(() => this.#passStatus(serverId, message, related))
      .catch((error: unknown) => {
        const { logger } = this.#options;
        logger.error(
          { code: errorCode(error), server: serverId },
          "what a server said of a task could not be passed on",
        );
      })
      .finally(() => {
        this.#waitingStatuses -= 1;
      });
  }

  /** A task that is not this agent's, or not yet, is none of its business. */
  async #passStatus(serverId: string, message: RpcNotification, related: number | undefined): Promise<void> {
    const { agent, tasks, tell, logger } = this.#options;
    const { taskId } = message.params;
    const owner = ownerOf(agent);
    const task = typeof taskId === "string" ? tasks.atServer(serverId, owner, "legacy", taskId) : undefined;
    const upstream = this.#legs.get(serverId)?.facts();
    if (task === undefined || upstream === undefined || this.#ended.signal.aborted) {
      logger.warn({ server: serverId }, "a server told of a task that the agent does not have");
      return;
    }
    const bytes = await statusToAgent(this.#options, agent, { task, message, upstream });
    const call = this.#callOf(serverId, related);
    if (bytes === undefined || this.#ended.signal.aborted) return;
    if (call?.pass === undefined) tell(bytes);
    else call.pass(bytes);
  }

  /** What may not reach the agent has a receipt; the agent is told nothing. */
  async #refuseNotice(serverId: string, method: string, received: Uint8Array): Promise<void> {
    const { caller, session, transport, revision } = this.#options.agent;
    const wire = { transport, era: "legacy", revision, method } as const;
    const reason = "inspect.block";
    await keepRefusal(this.#options, { step: "inspect", reason, wire, caller, session, serverId, received });
  }
}
