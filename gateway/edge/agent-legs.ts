/**
 * The sessions that one session of an agent has at legacy servers: one at each, opened by its first call, ended with the
 * agent's. What a server says on one of them is this agent's.
 */

import { formatUtf8 } from "../../kernel/bytes.ts";
import { errorCode } from "../../kernel/errors.ts";
import { isJsonObject } from "../../kernel/json/value.ts";
import { type CancelSignal, firstOf } from "../upstream/cancellation.ts";
import { levelRequest, ROOTS_CHANGED } from "../upstream/own-request.ts";
import { pause } from "../upstream/pause.ts";
import type { LegAgent, Upstream, UpstreamLeg } from "../upstream/upstream.ts";
import { messageToAgent, mirroredCapabilities } from "../wire/bridge.ts";
import type { RpcNotification, RpcRequest } from "../wire/rpc.ts";
import { type AskedAgent, askAgent } from "./ask-agent.ts";
import type { ReceiptDeps } from "./call-receipts.ts";
import { LegSubscriptions } from "./leg-subscriptions.ts";
import { keepRefusal } from "./refuse.ts";
import type { RuleChanges } from "./rule-changes.ts";
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
/** Things that one session is told of when they happen. */
const MAX_TOLD = 64;
/** Notices of tasks that wait. */
const MAX_STATUSES = 256;
/** Between two notices that the agent's roots changed. */
const ROOTS_GAP_MS = 250;

/** `1` is not `"1"`. */
function questionKey(serverId: string, id: unknown): string {
  return `${serverId} ${JSON.stringify(id)}`;
}

/** A change of a list, in our words. */
export function listChangedNotice(list: string): Uint8Array {
  return formatUtf8(JSON.stringify({ jsonrpc: "2.0", method: `notifications/${list}/list_changed` }));
}

/** The legs of one session. */
export class AgentLegs {
  readonly #options: AgentLegsOptions;
  readonly #legs = new Map<string, UpstreamLeg>();
  readonly #calls = new Map<string, LegCall>();
  /** What the agent subscribed to. */
  readonly subscriptions: LegSubscriptions;
  /** What servers ask now, by their ids: a server may take a question back. */
  readonly #questions = new Map<string, AbortController>();
  readonly #ended = new AbortController();
  readonly #told = new Set<string>();
  /** What servers say of tasks. */
  #statuses: Promise<void> = Promise.resolve();
  #waitingStatuses = 0;
  #isTellingRoots = false;
  #haveRootsChanged = false;
  #isListening = false;

  constructor(options: AgentLegsOptions) {
    this.#options = options;
    this.subscriptions = new LegSubscriptions({
      ...options,
      legAt: (serverId) => this.#legs.get(serverId),
      ended: this.#ended.signal,
    });
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

  /**
   * Tells every server with a session that the agent's roots changed. Nobody decides that and no rate counts it, so one notice is
   * under way at a time, and all that come meanwhile are one more.
   */
  async tellRootsChanged(): Promise<void> {
    this.#haveRootsChanged = true;
    if (this.#isTellingRoots) return;
    this.#isTellingRoots = true;
    await this.#tellRoots();
    void this.#tellRootsOn();
  }

  async #tellRoots(): Promise<void> {
    this.#haveRootsChanged = false;
    await Promise.all([...this.#legs.values()].map((leg) => leg.notify(ROOTS_CHANGED)));
  }

  async #tellRootsOn(): Promise<void> {
    await pause(ROOTS_GAP_MS, this.#ended.signal);
    while (this.#haveRootsChanged && !this.#ended.signal.aborted) {
      await this.#tellRoots();
      await pause(ROOTS_GAP_MS, this.#ended.signal);
    }
    this.#isTellingRoots = false;
  }

  /** The legs that are open. */
  get open(): ReadonlyMap<string, UpstreamLeg> {
    return this.#legs;
  }

  async close(): Promise<void> {
    this.#ended.abort();
    this.subscriptions.close();
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
      onGap: () => this.subscriptions.tellAll(upstream.id),
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
    else if (typeof uri === "string") this.subscriptions.changed(serverId, uri, pass);
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
