/**
 * Sessions of legacy agents: `Mcp-Session-Id`, 128 random bits minted on `initialize` and bound to the caller and the
 * mount. Another caller's id is answered like one that never was.
 */

import { formatBase64url } from "../../kernel/base64url.ts";
import { formatUtf8 } from "../../kernel/bytes.ts";
import type { SealReason } from "../../kernel/receipt/vocabulary.ts";
import type { Caller, SessionKey } from "../pipeline/call.ts";
import type { LegacyRevision } from "../wire/revisions.ts";
import { AgentLegs, type AgentLegsOptions, listChangedNotice } from "./agent-legs.ts";
import type { AgentCapabilities } from "./agent-request.ts";
import type { ReceiptDeps } from "./call-receipts.ts";
import { callerKey } from "./caller-key.ts";
import type { ChangeFeed } from "./change-feed.ts";
import { type ReplayBudget, SessionStreams } from "./event-stream.ts";
import { NoticePacer } from "./notice-pacer.ts";
import { PendingAsks } from "./pending-asks.ts";
import { QuestionRates } from "./question-rate.ts";
import { makeRunningCalls, type RunningCalls } from "./running-calls.ts";
import { ownerOf, type TaskTable } from "./task-table.ts";

/** One session. */
export interface LegacySession {
  readonly id: string;
  readonly caller: Caller;
  readonly mount: string;
  readonly revision: LegacyRevision;
  readonly key: SessionKey;
  /** What the agent declared at its handshake. */
  readonly capabilities: AgentCapabilities;
  readonly calls: RunningCalls;
  readonly streams: SessionStreams;
  /** What the agent was asked. */
  readonly asks: PendingAsks;
  readonly legs: AgentLegs;
  /** Changes of lists. */
  readonly notices: NoticePacer;
  readonly openedAtMs: number;
  /** When its last request came or was answered, or the last connection of a stream of its own was gone. */
  lastUsedMs: number;
}

/** An agent that opens one. */
export type NewSession = Pick<LegacySession, "caller" | "mount" | "revision" | "capabilities">;

/** What a lookup finds. */
export type Found =
  | { readonly type: "session"; readonly session: LegacySession }
  | { readonly type: "unknown" | "foreign" };

/** What the table is made of. */
export interface LegacySessionsOptions extends ReceiptDeps {
  readonly nowMs: () => number;
  readonly randomBytes: (length: number) => Uint8Array;
  readonly maxSessions: number;
  readonly idleMs: number;
  readonly maxAgeMs: number;
  readonly changes: ChangeFeed;
  readonly tasks: AgentLegsOptions["tasks"] & Pick<TaskTable, "openOwners">;
  readonly rules: AgentLegsOptions["rules"];
  /** The servers that a mount offers. */
  readonly serversOf: (mount: string) => readonly string[];
  /** Told of each session that ended here, when its last call is answered. */
  readonly onEnd: (session: LegacySession, reason: SealReason) => void;
}

const ID_BYTES = 16;
/** What the sessions of one caller may declare together: as many sessions as there may be, of hosts that declare what hosts do. */
const MAX_CALLER_DECLARED_BYTES = 4 * 1024 * 1024;
/** Of events that all sessions keep for agents whose connection broke. */
const MAX_REPLAY_BYTES = 64 * 1024 * 1024;

/** The open sessions. */
export class LegacySessions {
  readonly #options: LegacySessionsOptions;
  readonly #sessions = new Map<string, LegacySession>();
  readonly #questions = new QuestionRates(() => performance.now());
  /** Bytes of capabilities that are kept, by caller. */
  readonly #declaredBy = new Map<string, number>();
  readonly #replay: ReplayBudget = { used: 0, max: MAX_REPLAY_BYTES };

  readonly #unwatch: () => void;

  constructor(options: LegacySessionsOptions) {
    this.#options = options;
    this.#unwatch = options.changes.watch((serverId, list) => {
      for (const { streams, mount, notices } of this.#sessions.values()) {
        const isListening = streams.standing.isAttached && options.serversOf(mount).includes(serverId);
        if (isListening) notices.push(list);
      }
    });
  }

  /** Opens one; `full` if as many are open as may be, `declared-full` if the caller's declare too much together. */
  open(agent: NewSession): LegacySession | "full" | "declared-full" {
    if (this.#sessions.size >= this.#options.maxSessions || !this.#mayDeclare(agent)) this.#sweep();
    // Before room is made: nobody else gives up a session for one that is not opened.
    if (!this.#mayDeclare(agent)) return "declared-full";
    if (this.#sessions.size >= this.#options.maxSessions && !this.#makeRoom(agent)) return "full";
    const id = formatBase64url(this.#options.randomBytes(ID_BYTES));
    const now = this.#options.nowMs();
    const key = { key: id, source: "mcp-session-id", trust: "authenticated" } as const;
    const use = (): void => {
      session.lastUsedMs = this.#options.nowMs();
    };
    const calls = makeRunningCalls(use);
    const streams = new SessionStreams(this.#replay, use);
    const asks = new PendingAsks(this.#questions.ofSession(agent.caller));
    const legs = this.#legsOf(agent, key, streams, asks);
    const notices = new NoticePacer((list) => streams.standing.push(listChangedNotice(list)));
    notices.start();
    const session: LegacySession = {
      ...agent,
      id,
      key,
      calls,
      streams,
      asks,
      legs,
      notices,
      openedAtMs: now,
      lastUsedMs: now,
    };
    this.#sessions.set(id, session);
    this.#countDeclared(session, declaredBytes(session));
    return session;
  }

  /** The session of this id, if it is this caller's on this mount; using it keeps it open. */
  find(id: string, caller: Caller, mount: string): Found {
    const session = this.#sessions.get(id);
    if (session === undefined || this.#endIfOver(session)) return { type: "unknown" };
    if (session.caller.issuer !== caller.issuer || session.caller.name !== caller.name || session.mount !== mount) {
      return { type: "foreign" };
    }
    session.lastUsedMs = this.#options.nowMs();
    return { type: "session", session };
  }

  /** Ends a session: its id is unknown from now on, its calls are cancelled; it is over when their outcomes are kept. */
  end(session: LegacySession, reason: SealReason): void {
    if (!this.#sessions.delete(session.id)) return;
    this.#countDeclared(session, -declaredBytes(session));
    session.calls.cancelAll();
    session.streams.close();
    session.notices.stop();
    void session.calls
      .ended()
      .then(() => session.legs.close())
      .then(() => this.#options.onEnd(session, reason));
  }

  /** Lets go of every stream and every session at a server; what is open stays open for its seal. */
  async close(): Promise<void> {
    this.#unwatch();
    const sessions = [...this.#sessions.values()];
    for (const { streams, notices } of sessions) {
      notices.stop();
      streams.close();
    }
    await Promise.all(sessions.map(({ legs }) => legs.close()));
  }

  /** Every open session. */
  get all(): Iterable<LegacySession> {
    return this.#sessions.values();
  }

  #legsOf(agent: NewSession, session: SessionKey, streams: SessionStreams, asks: PendingAsks): AgentLegs {
    const { caller, revision, capabilities } = agent;
    return new AgentLegs({
      tasks: this.#options.tasks,
      rules: this.#options.rules,
      pipeline: this.#options.pipeline,
      logger: this.#options.logger,
      agent: { caller, session, transport: "http", revision, capabilities: capabilities.value, asks },
      capabilities: capabilities.text,
      tell: (message) => {
        if (!streams.standing.isAttached) return false;
        streams.standing.push(message);
        return true;
      },
    });
  }

  /**
   * One caller must not keep all others out: whoever has the most sessions gives up the idle one that was used longest ago and has
   * no task open, for a caller that has fewer behind that, too.
   */
  #makeRoom({ caller }: NewSession): boolean {
    const byCaller = new Map<string, LegacySession[]>();
    for (const session of this.#sessions.values()) {
      const key = callerKey(session.caller);
      const own = byCaller.get(key);
      if (own === undefined) byCaller.set(key, [session]);
      else own.push(session);
    }
    const most = [...byCaller.values()].reduce((one, other) => (other.length > one.length ? other : one), []);
    if (most.length - 1 <= (byCaller.get(callerKey(caller))?.length ?? 0)) return false;
    const owners = this.#options.tasks.openOwners();
    const idle = most.filter((session) => {
      return !isInUse(session) && !owners.has(ownerOf({ caller: session.caller, session: session.key }));
    });
    const [first, ...others] = idle;
    if (first === undefined) return false;
    this.end(
      others.reduce((one, other) => (other.lastUsedMs < one.lastUsedMs ? other : one), first),
      "idle",
    );
    return true;
  }

  #mayDeclare(agent: NewSession): boolean {
    return (this.#declaredBy.get(callerKey(agent.caller)) ?? 0) + declaredBytes(agent) <= MAX_CALLER_DECLARED_BYTES;
  }

  #countDeclared({ caller }: NewSession, bytes: number): void {
    const key = callerKey(caller);
    const all = (this.#declaredBy.get(key) ?? 0) + bytes;
    if (all === 0) this.#declaredBy.delete(key);
    else this.#declaredBy.set(key, all);
  }

  #sweep(): void {
    for (const session of [...this.#sessions.values()]) this.#endIfOver(session);
  }

  /** A session that is in use ends at its greatest age only. */
  #endIfTooOld(session: LegacySession): boolean {
    if (session.calls.size > 0 || this.#options.nowMs() - session.openedAtMs < this.#options.maxAgeMs) return false;
    this.end(session, "max-age");
    return true;
  }

  #endIfOver(session: LegacySession): boolean {
    const now = this.#options.nowMs();
    if (isInUse(session)) return this.#endIfTooOld(session);
    const isTooOld = now - session.openedAtMs >= this.#options.maxAgeMs;
    if (!isTooOld && now - session.lastUsedMs < this.#options.idleMs) return false;
    this.end(session, isTooOld ? "max-age" : "idle");
    return true;
  }
}

/** A request is under way, or the agent listens to a stream. */
function isInUse({ calls, streams }: LegacySession): boolean {
  return calls.size > 0 || streams.isAttached;
}

function declaredBytes({ capabilities }: Pick<NewSession, "capabilities">): number {
  return formatUtf8(capabilities.text).length;
}
