/**
 * How often servers may ask agents. A question costs a decision like a call, and no agent makes it: a server that asks without end
 * would fill the stream with decisions. So it may ask a caller as often as a caller may call. What it asks beyond that is
 * refused before policy, where many refusals are counted in few receipts (pipeline/refusal-tally.ts).
 */

import { RateWindow } from "../limits/rate-window.ts";
import type { Party } from "../pipeline/call.ts";
import { callerKey } from "./caller-key.ts";

/** Questions of one server in one minute, to one caller and in one session: the defaults of calls (docs/gateway.md). */
const PER_CALLER = 600;
const PER_SESSION = 300;
/** Pairs of server and caller that are counted at a time; who is not counted is not asked. */
const MAX_COUNTED = 65_536;

/** Why a question is not asked; undefined if it may be. */
export type QuestionFault = "limit.per-principal" | "limit.per-session" | undefined;

/** Takes one question of the server. */
export type TakeQuestion = (serverId: string) => QuestionFault;

/** The questions of all sessions of an edge. */
export class QuestionRates {
  readonly #nowMs: () => number;
  readonly #byCaller = new Map<string, RateWindow>();

  /** @param nowMs  of a clock that never goes back */
  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** Those of one session of this caller. */
  ofSession(party: Party): TakeQuestion {
    const own = callerKey(party);
    const inSession = new Map<string, RateWindow>();
    return (serverId) => {
      const nowMs = this.#nowMs();
      const session = inSession.get(serverId) ?? new RateWindow();
      if (session.taken(nowMs) >= PER_SESSION) return "limit.per-session";
      const caller = this.#windowOf(`${serverId} ${own}`, nowMs);
      if (caller === undefined || caller.taken(nowMs) >= PER_CALLER) return "limit.per-principal";
      inSession.set(serverId, session);
      for (const window of [session, caller]) window.reserve(nowMs).charge();
      return undefined;
    };
  }

  /** Undefined if there are too many. */
  #windowOf(key: string, nowMs: number): RateWindow | undefined {
    const known = this.#byCaller.get(key);
    if (known !== undefined) return known;
    if (this.#byCaller.size >= MAX_COUNTED) {
      for (const [other, window] of this.#byCaller) if (window.isEmpty(nowMs)) this.#byCaller.delete(other);
    }
    if (this.#byCaller.size >= MAX_COUNTED) return undefined;
    const made = new RateWindow();
    this.#byCaller.set(key, made);
    return made;
  }
}
