/**
 * Sessions of legacy agents: `Mcp-Session-Id`, 128 random bits minted on `initialize` and bound to the caller and the
 * mount. Another caller's id is answered like one that never was.
 */

import { formatBase64url } from "../../kernel/base64url.ts";
import type { SealReason } from "../../kernel/receipt/vocabulary.ts";
import type { Caller, SessionKey } from "../pipeline/call.ts";
import type { LegacyRevision } from "../wire/revisions.ts";
import type { AgentCapabilities } from "./agent-request.ts";
import { makeRunningCalls, type RunningCalls } from "./running-calls.ts";

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
  readonly openedAtMs: number;
  lastUsedMs: number;
}

/** What a lookup finds. */
export type Found =
  | { readonly type: "session"; readonly session: LegacySession }
  | { readonly type: "unknown" | "foreign" };

/** What the table is made of. */
export interface LegacySessionsOptions {
  readonly nowMs: () => number;
  readonly randomBytes: (length: number) => Uint8Array;
  readonly maxSessions: number;
  readonly idleMs: number;
  readonly maxAgeMs: number;
  /** Told of each session that ended here, when its last call is answered. */
  readonly onEnd: (session: LegacySession, reason: SealReason) => void;
}

const ID_BYTES = 16;

/** The open sessions. */
export class LegacySessions {
  readonly #options: LegacySessionsOptions;
  readonly #sessions = new Map<string, LegacySession>();

  constructor(options: LegacySessionsOptions) {
    this.#options = options;
  }

  /** Opens one; undefined if as many are open as may be. */
  open(agent: Pick<LegacySession, "caller" | "mount" | "revision" | "capabilities">): LegacySession | undefined {
    if (this.#sessions.size >= this.#options.maxSessions) this.#sweep();
    if (this.#sessions.size >= this.#options.maxSessions) return undefined;
    const id = formatBase64url(this.#options.randomBytes(ID_BYTES));
    const now = this.#options.nowMs();
    const key = { key: id, source: "mcp-session-id", trust: "authenticated" } as const;
    const calls = makeRunningCalls();
    const session = { ...agent, id, key, calls, openedAtMs: now, lastUsedMs: now };
    this.#sessions.set(id, session);
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
    session.calls.cancelAll();
    void session.calls.ended().then(() => this.#options.onEnd(session, reason));
  }

  #sweep(): void {
    for (const session of [...this.#sessions.values()]) this.#endIfOver(session);
  }

  #endIfOver(session: LegacySession): boolean {
    const now = this.#options.nowMs();
    if (session.calls.size > 0) return false;
    const isTooOld = now - session.openedAtMs >= this.#options.maxAgeMs;
    if (!isTooOld && now - session.lastUsedMs < this.#options.idleMs) return false;
    this.end(session, isTooOld ? "max-age" : "idle");
    return true;
  }
}
