/**
 * What one session of an agent subscribed to, and the subscriptions at servers that this takes: in the agent's own session
 * there, or as a watch where it has none.
 */

import { formatUtf8 } from "../../kernel/bytes.ts";
import { errorCode } from "../../kernel/errors.ts";
import type { JsonObject } from "../../kernel/json/value.ts";
import { OldestFirst } from "../oldest-first.ts";
import type { InboundCall } from "../pipeline/call.ts";
import { unsubscribeRequest } from "../upstream/own-request.ts";
import type { Upstream, UpstreamLeg, UpstreamReply, UpstreamRequest } from "../upstream/upstream.ts";
import { NoticePacer } from "./notice-pacer.ts";
import type { RuleChanges } from "./rule-changes.ts";
import { StandingSubscriptions, type SubscriptionDeps } from "./standing-subscriptions.ts";

/** What the subscriptions of a session are made with. */
export interface LegSubscriptionsOptions extends SubscriptionDeps {
  readonly rules: Pick<RuleChanges, "watch" | "count">;
  /** Sends what belongs to no call; false if the agent has no stream open. */
  readonly tell: (message: Uint8Array) => boolean;
  /** The agent's own session at this server, if it has one. */
  readonly legAt: (serverId: string) => UpstreamLeg | undefined;
  /** Aborted when the agent's session ends. */
  readonly ended: AbortSignal;
}

/** Subscriptions of one session. */
const MAX_SUBSCRIPTIONS = 1_000;

/** What the acknowledgement of a modern server is to a legacy agent. */
function acknowledged(id: number): { readonly text: string; readonly body: JsonObject } {
  const body = { jsonrpc: "2.0", id, result: {} };
  return { text: JSON.stringify(body), body };
}

/** A change of a resource, in our words. */
function updatedNotice(uri: string): Uint8Array {
  return formatUtf8(JSON.stringify({ jsonrpc: "2.0", method: "notifications/resources/updated", params: { uri } }));
}

/** The subscriptions of one session. */
export class LegSubscriptions {
  readonly #options: LegSubscriptionsOptions;
  readonly #standing: StandingSubscriptions;
  /** Subscriptions at servers where this agent has no session of its own. */
  readonly #watches = new OldestFirst<string, AbortController>(MAX_SUBSCRIPTIONS);
  readonly #updates: NoticePacer;
  /** Requests that subscribe now, by resource; and whether the server may have one that nobody is told of. */
  readonly #making = new Map<string, { count: number; isOwed: boolean }>();
  /** Of watches whose subscription is not recorded yet: what changed meanwhile. */
  readonly #early = new Set<string>();

  constructor(options: LegSubscriptionsOptions) {
    this.#options = options;
    this.#standing = new StandingSubscriptions(options, (call) => this.#giveUp(call));
    this.#updates = new NoticePacer((key) => this.#tellUpdate(key));
    this.#updates.start();
  }

  /**
   * Changes of this resource are passed on.
   *
   * @param call  the subscription as it was let through
   * @param rulesBefore  changes of rules before it was decided
   */
  add(call: InboundCall, rulesBefore: number): void {
    this.#standing.add(call, this.#options.rules.count !== rulesBefore);
    const key = `${call.serverId} ${call.target.name}`;
    if (this.#early.delete(key)) this.#tellUpdate(key);
  }

  /**
   * A request subscribes: until it has ended, nothing is taken back at the server that it may have got.
   *
   * @returns called when it has ended, behind `add` or `takeBack`
   */
  begin(call: InboundCall): () => void {
    const { serverId, target } = call;
    const key = `${serverId} ${target.name}`;
    const making = this.#making.get(key) ?? { count: 0, isOwed: false };
    making.count += 1;
    this.#making.set(key, making);
    return () => {
      making.count -= 1;
      if (making.count > 0) return;
      this.#making.delete(key);
      if (making.isOwed) this.takeBack(call);
    };
  }

  /** The agent is not told that this one stands. One that it has already stays. */
  takeBack(call: InboundCall): void {
    if (!this.#standing.has(call.serverId, call.target.name)) this.#giveUp(call);
  }

  /** Whoever subscribes to it just now has the server's one subscription, too: then the last of them decides. */
  #giveUp({ serverId, target }: InboundCall): void {
    const making = this.#making.get(`${serverId} ${target.name}`);
    if (making === undefined) this.#stopAt(serverId, target.name);
    else making.isOwed = true;
  }

  delete(serverId: string, uri: string): void {
    this.#standing.delete(serverId, uri);
    this.#stopWatch(`${serverId} ${uri}`);
  }

  /** The server says that a resource changed. @param tell  passes that on */
  changed(serverId: string, uri: string, tell: () => void): void {
    this.#standing.changed(serverId, uri, tell);
  }

  /** Something may have been missed of whatever the agent subscribed to at this server. */
  tellAll(serverId: string): void {
    for (const uri of this.#standing.of(serverId)) {
      this.#standing.changed(serverId, uri, () => void this.#options.tell(updatedNotice(uri)));
    }
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
    let isTaken = false;
    try {
      const watched = { ...request, signal: stop.signal };
      const reply = await upstream.watchResource(watched, uri, () => this.#updates.push(key));
      isTaken = reply.type === "answered" && reply.body["error"] === undefined;
      return isTaken ? { ...reply, ...acknowledged(request.id) } : reply;
    } finally {
      request.signal.removeEventListener("abort", cancel);
      if (!isTaken || this.#options.ended.aborted) stop.abort();
      else this.#keepWatch(key, stop);
    }
  }

  close(): void {
    this.#updates.stop();
    this.#standing.close();
    for (const stop of this.#watches.values()) stop.abort();
  }

  /** A change that comes before its subscription is recorded waits for it. */
  #tellUpdate(key: string): void {
    const at = key.indexOf(" ");
    const [serverId, uri] = [key.slice(0, at), key.slice(at + 1)];
    if (!this.#standing.has(serverId, uri) && this.#early.size < MAX_SUBSCRIPTIONS) this.#early.add(key);
    this.#standing.changed(serverId, uri, () => void this.#options.tell(updatedNotice(uri)));
  }

  /** One for each resource; the oldest of many is given up. */
  #keepWatch(key: string, stop: AbortController): void {
    this.#watches.get(key)?.abort();
    this.#watches.set(key, stop);
    this.#watches.trim((oldest) => oldest.abort());
  }

  #stopWatch(key: string): void {
    this.#early.delete(key);
    this.#watches.get(key)?.abort();
    this.#watches.delete(key);
  }

  /** The server need not tell of it any more. */
  #stopAt(serverId: string, uri: string): void {
    const { legAt, ended, logger } = this.#options;
    const leg = legAt(serverId);
    this.#stopWatch(`${serverId} ${uri}`);
    leg?.request(unsubscribeRequest(leg.nextId(), uri, ended)).catch((error: unknown) => {
      logger.error(
        { code: errorCode(error), server: serverId },
        "a server could not be told that a subscription is over",
      );
    });
  }
}
