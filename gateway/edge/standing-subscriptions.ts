/**
 * What one legacy agent subscribed to. Each stands under the decision that let it through; when rules change, the next notice about
 * it waits for another decision. A subscription that is refused then is over: the refusal is its receipt, the server is told,
 * and the agent, to which the protocol has nothing to say, hears no more of it. For a subject in quarantine it is silent.
 */

import { errorCode } from "../../kernel/errors.ts";
import { OldestFirst } from "../oldest-first.ts";
import type { InboundCall } from "../pipeline/call.ts";
import { decide, finish, type ReceiptDeps } from "./call-receipts.ts";
import type { RuleChanges } from "./rule-changes.ts";

/** What subscriptions need. */
export interface SubscriptionDeps extends ReceiptDeps {
  readonly rules: Pick<RuleChanges, "watch">;
}

interface Subscription {
  readonly call: InboundCall;
  /** Rules have changed since it was decided. */
  isStale: boolean;
  /** The agent is told as little as of a change that never was. */
  isPhantom: boolean;
  /** Tells the newest change, of which there may be many while it is decided. */
  waiting: (() => void) | undefined;
}

/** Subscriptions of one session. */
const MAX_SUBSCRIPTIONS = 1_000;
/** Of their messages, which are kept to be decided again: agents write what they like beside the URI. */
const MAX_BYTES = 8 * 1024 * 1024;

/** The subscriptions of one session. */
export class StandingSubscriptions {
  readonly #deps: SubscriptionDeps;
  readonly #onOver: (call: InboundCall) => void;
  readonly #byKey = new OldestFirst<string, Subscription>(MAX_SUBSCRIPTIONS);
  #unwatch: (() => void) | undefined;

  /** @param onOver  told of a subscription that rules do not permit any more */
  constructor(deps: SubscriptionDeps, onOver: (call: InboundCall) => void) {
    this.#deps = deps;
    this.#onOver = onOver;
  }

  /**
   * From now on changes are told; the oldest of many, or of large ones, is forgotten.
   *
   * @param call  the subscription as it was let through
   * @param isStale  rules have changed between the decision and now
   */
  add(call: InboundCall, isStale: boolean): void {
    this.#unwatch ??= this.#deps.rules.watch((concerns) => {
      for (const one of this.#byKey.values()) one.isStale ||= concerns(one.call);
    });
    const { serverId, target } = call;
    this.#byKey.set(keyOf(serverId, target.name), { call, isStale, isPhantom: false, waiting: undefined });
    this.#trim();
  }

  /** The newest stays, whatever its size. */
  #trim(): void {
    this.#byKey.trim();
    const calls = [...this.#byKey.values()].map(({ call }) => call);
    let bytes = calls.reduce((sum, call) => sum + bytesOf(call), 0);
    for (const call of calls.slice(0, -1)) {
      if (bytes <= MAX_BYTES) return;
      bytes -= bytesOf(call);
      this.delete(call.serverId, call.target.name);
    }
  }

  delete(serverId: string, uri: string): void {
    this.#byKey.delete(keyOf(serverId, uri));
  }

  has(serverId: string, uri: string): boolean {
    return this.#byKey.has(keyOf(serverId, uri));
  }

  /** URIs at this server. */
  of(serverId: string): readonly string[] {
    const own = [...this.#byKey.values()].filter(({ call }) => call.serverId === serverId);
    return own.map(({ call }) => call.target.name);
  }

  /** Something changed: tells it if it is subscribed to, and may be told under the rules that hold. */
  changed(serverId: string, uri: string, tell: () => void): void {
    const one = this.#byKey.get(keyOf(serverId, uri));
    if (one === undefined) return;
    const isDeciding = one.waiting !== undefined;
    if (isDeciding || one.isStale) one.waiting = tell;
    else if (!one.isPhantom) tell();
    if (one.isStale && !isDeciding) void this.#renew(one);
  }

  close(): void {
    this.#unwatch?.();
    for (const { call } of [...this.#byKey.values()]) this.delete(call.serverId, call.target.name);
  }

  /** Never rejects. What ends by a fault of ours is told of nothing now, and is decided with the next change. */
  async #renew(one: Subscription): Promise<void> {
    try {
      await this.#renewed(one);
    } catch (error) {
      one.waiting = undefined;
      one.isStale = true;
      const { serverId: server } = one.call;
      this.#deps.logger.error({ code: errorCode(error), server }, "a subscription could not be decided again");
    }
  }

  async #renewed(one: Subscription): Promise<void> {
    let isTold = true;
    while (one.isStale && isTold) {
      one.isStale = false;
      isTold = await this.#decideAgain(one);
    }
    const tell = one.waiting;
    one.waiting = undefined;
    if (isTold && !one.isPhantom && this.#isHeld(one)) tell?.();
  }

  /** @returns false if the agent is not told now */
  async #decideAgain(one: Subscription): Promise<boolean> {
    const { call } = one;
    // Nothing is sent for it: the subscription at the server stands.
    const decided = await decide(this.#deps, { ...call, isAnsweredHere: true, isUnasked: true });
    if (decided?.action === "refuse") {
      if (this.#isHeld(one)) this.#end(one);
      return false;
    }
    const facts = decided?.action === "phantom" ? PHANTOM : STANDS;
    const kept =
      decided === undefined
        ? undefined
        : await finish(this.#deps, decided, { ...facts, upstreamUs: 0, uninspectedBytes: 0 });
    // Without a receipt it is decided with the next change.
    one.isStale ||= kept === undefined;
    one.isPhantom = decided?.action === "phantom";
    return kept !== undefined;
  }

  #end({ call }: Subscription): void {
    this.delete(call.serverId, call.target.name);
    this.#onOver(call);
  }

  /** False if the agent has let go of it meanwhile, or subscribed anew. */
  #isHeld(one: Subscription): boolean {
    return this.#byKey.get(keyOf(one.call.serverId, one.call.target.name)) === one;
  }
}

const STANDS = { status: "ok", effect: "done" } as const;
const PHANTOM = { status: "phantom", effect: "none" } as const;

function bytesOf({ received, toSend }: InboundCall): number {
  return received.length + toSend.length;
}

function keyOf(serverId: string, uri: string): string {
  return `${serverId} ${uri}`;
}
