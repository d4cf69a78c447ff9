/**
 * Sessions at legacy servers of agents that have no session themselves: one for each principal and session, opened by its
 * first call. What a server remembers in a session is never another agent's. A trace is no session: a server's session that
 * ended with each trace would forget what the agent did a moment ago, so what is only inferred shares the principal's own.
 */

import { errorCode } from "../../kernel/errors.ts";
import type { CancelSignal } from "../upstream/cancellation.ts";
import { levelRequest } from "../upstream/own-request.ts";
import type { LegAgent, Upstream, UpstreamLeg, UpstreamReply, UpstreamRequest } from "../upstream/upstream.ts";
import { metaOf } from "../wire/era.ts";
import { LOG_LEVELS } from "../wire/log-levels.ts";
import { META } from "../wire/meta-keys.ts";
import { LEGACY_REVISIONS } from "../wire/revisions.ts";
import type { RpcRequest } from "../wire/rpc.ts";
import { errorResponse, RPC } from "../wire/rpc-error.ts";
import { rawAt } from "../wire/spans.ts";
import type { AgentRequest } from "./agent-request.ts";
import type { ReceiptDeps } from "./call-receipts.ts";
import { keepRefusal } from "./refuse.ts";

/** What the table is made of. */
export interface ModernLegsOptions extends ReceiptDeps {
  readonly nowMs: () => number;
  readonly maxSessions: number;
  readonly idleMs: number;
}

/** The way of one call. */
export type CallLeg = Pick<UpstreamLeg, "facts" | "nextId" | "request">;

/** Whose a session is. */
type Holder = Pick<AgentRequest, "caller" | "session">;
type LegRequest = Pick<AgentRequest, "era" | "caller" | "session" | "message">;
type LegServer = Pick<Upstream, "id" | "facts" | "openLeg">;

interface Held {
  /** Principal and server. */
  readonly owner: string;
  readonly leg: UpstreamLeg;
  running: number;
  lastUsedMs: number;
  /** The level of log messages that the server was told last, and the end of telling it. */
  level: string | undefined;
  told: Promise<unknown>;
}

/** Idle sessions are looked for this often, when there are calls. */
const SWEEP_MS = 60_000;
/** Of one principal at one server: what its host calls a session is the agent's word. */
const MAX_OF_PRINCIPAL = 16;

/** The sessions, the one that was used longest ago first. */
export class ModernLegs {
  readonly #options: ModernLegsOptions;
  readonly #held = new Map<string, Held>();
  #sweptAtMs = 0;

  constructor(options: ModernLegsOptions) {
    this.#options = options;
  }

  /**
   * The way of a call to a server.
   *
   * @returns undefined if the server has no sessions, or only one that all agents share; `full` if no more may be open
   */
  leg(request: LegRequest, upstream: LegServer): CallLeg | "full" | undefined {
    if (request.era !== "modern" || upstream.openLeg === undefined || upstream.facts().era !== "legacy")
      return undefined;
    this.#sweep();
    const key = keyOf(request, upstream.id);
    const known = this.#held.get(key);
    if (known === undefined && !this.#hasRoom(ownerOf(request, upstream.id))) return "full";
    const held = known ?? this.#open(request, upstream);
    if (held === undefined) return undefined;
    this.#use(key, held);
    const { facts, nextId } = held.leg;
    const run = (call: UpstreamRequest): Promise<UpstreamReply> =>
      ask(held, call, logLevelIn(request)).finally(() => {
        if (this.#held.get(key) === held) this.#use(key, held);
      });
    return { facts, nextId, request: run };
  }

  /** A session is in use from the begin of a call to its end. */
  #use(key: string, held: Held): void {
    held.lastUsedMs = this.#options.nowMs();
    this.#held.delete(key);
    this.#held.set(key, held);
  }

  async close(): Promise<void> {
    const all = [...this.#held.values()];
    this.#held.clear();
    await Promise.all(all.map(({ leg }) => leg.close()));
  }

  #open(holder: Holder, upstream: LegServer): Held | undefined {
    const leg = upstream.openLeg?.(this.#side(holder, upstream.id));
    if (leg === undefined) return undefined;
    // What the server asks there is refused at once; unheard, it would wait for an answer.
    leg.listen();
    return {
      owner: ownerOf(holder, upstream.id),
      leg,
      running: 0,
      lastUsedMs: 0,
      level: undefined,
      told: Promise.resolve(),
    };
  }

  /** The session that was used longest ago makes room, unless a call runs in it: of many of one principal, its own. */
  #hasRoom(owner: string): boolean {
    const own = [...this.#held].filter(([, held]) => held.owner === owner);
    const isCrowded = own.length >= MAX_OF_PRINCIPAL;
    if (!isCrowded && this.#held.size < this.#options.maxSessions) return true;
    const idle = (isCrowded ? own : [...this.#held]).find(([, { running }]) => running === 0);
    if (idle === undefined) return false;
    this.#end(...idle);
    return true;
  }

  #sweep(): void {
    const { nowMs, idleMs } = this.#options;
    const now = nowMs();
    if (now - this.#sweptAtMs < SWEEP_MS) return;
    this.#sweptAtMs = now;
    for (const [key, held] of this.#held) {
      if (held.running === 0 && now - held.lastUsedMs >= idleMs) this.#end(key, held);
    }
  }

  #end(key: string, { leg }: Held): void {
    this.#held.delete(key);
    leg.close().catch((error: unknown) => {
      const code = errorCode(error);
      this.#options.logger.warn({ code }, "a session at a server could not be ended");
    });
  }

  /** A modern agent declares nothing to a session, and cannot be asked inside a call. */
  #side(holder: Holder, serverId: string): LegAgent {
    return {
      revision: LEGACY_REVISIONS[0],
      capabilities: "{}",
      onRequest: (message, received) => this.#refuse(holder, serverId, message, received),
      // Progress and log messages of a call come with the call; what belongs to none has nobody to go to.
      onNotification: () => undefined,
      onGap: () => undefined,
    };
  }

  async #refuse(
    { caller, session }: Holder,
    serverId: string,
    { method, text }: RpcRequest,
    received: Uint8Array,
  ): Promise<Uint8Array> {
    const reason = "bridge.no-legacy-input";
    const wire = { transport: "http", era: "legacy", revision: LEGACY_REVISIONS[0], method } as const;
    await keepRefusal(this.#options, { step: "classify", reason, wire, caller, session, serverId, received });
    const words = "a modern agent cannot be asked inside a call";
    return errorResponse(rawAt(text, ["id"]) ?? "null", RPC.methodNotFound, words, { reason });
  }
}

/** Undefined unless it is one of the eight: nothing else is a server told in a message that nobody decides. */
function logLevelIn({ message }: LegRequest): string | undefined {
  const level = metaOf(message.params)[META.logLevel];
  return typeof level === "string" && LOG_LEVELS.has(level) ? level : undefined;
}

function ownerOf({ caller }: Holder, serverId: string): string {
  return JSON.stringify([caller.issuer, caller.name, serverId]);
}

/** What is inferred shares what the principal has. */
function keyOf(holder: Holder, serverId: string): string {
  const { trust, key } = holder.session;
  return `${ownerOf(holder, serverId)} ${trust === "inferred" ? "" : key}`;
}

/** @param level  the least level of log messages that the agent wants of this call */
async function ask(held: Held, call: UpstreamRequest, level: string | undefined): Promise<UpstreamReply> {
  held.running += 1;
  try {
    if (level !== undefined) await tellLevel(held, level, call.signal);
    return await held.leg.request(call);
  } finally {
    held.running -= 1;
  }
}

/** One after the other; a server that does not know the method says so, and the call goes on. */
function tellLevel(held: Held, level: string, signal: CancelSignal): Promise<unknown> {
  const before = held.told.catch(() => undefined);
  held.told = before.then(async () => {
    if (held.level === level || signal.aborted) return;
    const { leg } = held;
    const reply = await leg.request(levelRequest(leg.nextId(), level, signal));
    if (reply.type === "answered") held.level = level;
  });
  return held.told;
}
