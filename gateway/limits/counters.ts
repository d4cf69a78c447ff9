/**
 * The counters of a run, found by what they count. What is empty is forgotten, so their number is bounded by the calls of
 * a minute; above a fixed bound a new counter has no room.
 */

import type { Accounting } from "../../kernel/receipt/fields.ts";
import type { Charge } from "../../kernel/receipt/vocabulary.ts";
import type { Caller, InboundCall } from "../pipeline/call.ts";
import { toolActionIds } from "../policy/tool-action.ts";
import type { CallLimits } from "./call-limits.ts";
import { type Counts, RateWindow, type Unit } from "./rate-window.ts";

/** Counters that a call may meet here; those of the edge are its own. */
export type CountedLimit =
  | "calls-per-minute-principal"
  | "calls-per-minute-session"
  | "calls-per-minute-tool"
  | FlightLimit;

/** Those of calls that are under way. */
export const FLIGHT_LIMITS = ["calls-in-flight-session", "calls-in-flight-tool"] as const;
type FlightLimit = (typeof FLIGHT_LIMITS)[number];

/** One counter with its budget. */
export interface Counter {
  readonly limit: CountedLimit;
  /** Calls that it still takes now. */
  readonly room: () => number;
  readonly take: () => Unit;
  /** The line of a receipt. */
  readonly line: (charge: Charge) => Accounting;
  readonly retryAfterMs: () => number;
}

const MAX_COUNTERS = 65_536;
const SWEEP_MS = 1_000;
/** When a call that is under way ends nobody knows. */
const IN_FLIGHT_RETRY_MS = 250;

/** All counters of a run. */
export class CounterSet {
  readonly #rates = new Map<string, Rate>();
  readonly #inFlight = new Map<string, number>();
  readonly #monotonicMs: () => number;
  /** Stands for every counter above the bound. */
  readonly #noRoom = new RateWindow();
  #sweptMs = Number.NEGATIVE_INFINITY;

  constructor(monotonicMs: () => number) {
    this.#monotonicMs = monotonicMs;
  }

  /** The counters that a call meets, the broadest last. */
  of(call: InboundCall, { perMinute, inFlight }: CallLimits): readonly Counter[] {
    const principal = principalKey(call.caller);
    const tool = call.target.kind === "tool" ? toolActionIds(call.serverId, call.target.name).call : undefined;
    const perTool = tool === undefined ? undefined : perMinute.tools.get(tool);
    const atOnce = tool === undefined ? undefined : inFlight.tools.get(tool);
    const counters: Counter[] = [];
    if (tool !== undefined && atOnce !== undefined) counters.push(this.#flights("calls-in-flight-tool", tool, atOnce));
    if (inFlight.session !== undefined) {
      counters.push(this.#flights("calls-in-flight-session", sessionKey(call), inFlight.session));
    }
    if (tool !== undefined && perTool !== undefined) {
      counters.push(this.#rate("calls-per-minute-tool", keyOf("tool", tool), perTool));
    }
    counters.push(
      this.#rate("calls-per-minute-session", sessionKey(call), perMinute.session),
      this.#rate("calls-per-minute-principal", principal, perMinute.principal),
    );
    return counters;
  }

  /** @param key  a tool's id has a slash behind its first word, and a session's key a colon */
  #flights(limit: FlightLimit, key: string, budget: number): Flights {
    return new Flights(limit, this.#inFlight, key, budget);
  }

  #rate(limit: CountedLimit, key: string, budget: number): Rate {
    const known = this.#rates.get(key);
    if (known?.budget === budget) return known;
    // Budgets change, and what was counted stays.
    const window = known?.window ?? this.#newWindow();
    const made = new Rate(limit, budget, window ?? this.#noRoom, window !== undefined, this.#monotonicMs);
    if (window !== undefined) this.#rates.set(key, made);
    return made;
  }

  /** Undefined if there are too many. */
  #newWindow(): RateWindow | undefined {
    if (this.#rates.size >= MAX_COUNTERS) this.#forgetEmpty();
    return this.#rates.size >= MAX_COUNTERS ? undefined : new RateWindow();
  }

  /** At most once a second, since it looks at all of them. */
  #forgetEmpty(): void {
    const nowMs = this.#monotonicMs();
    if (nowMs < this.#sweptMs + SWEEP_MS) return;
    this.#sweptMs = nowMs;
    for (const [key, { window }] of this.#rates) if (window.isEmpty(nowMs)) this.#rates.delete(key);
  }
}

/** Of a window, with the budget of now. */
class Rate implements Counter {
  readonly limit: CountedLimit;
  readonly budget: number;
  readonly window: RateWindow;
  readonly #hasRoom: boolean;
  readonly #nowMs: () => number;

  constructor(limit: CountedLimit, budget: number, window: RateWindow, hasRoom: boolean, nowMs: () => number) {
    this.limit = limit;
    this.budget = budget;
    this.window = window;
    this.#hasRoom = hasRoom;
    this.#nowMs = nowMs;
  }

  room(): number {
    return this.#hasRoom ? Math.max(0, this.budget - this.window.taken(this.#nowMs())) : 0;
  }

  take(): Unit {
    return this.window.reserve(this.#nowMs());
  }

  line(charge: Charge): Accounting {
    return lineOf(this.limit, charge, this.budget, this.window.counts(this.#nowMs()));
  }

  retryAfterMs(): number {
    return Math.max(1, this.window.freesInMs(this.#nowMs()));
  }
}

/** Of the calls of one tool or session that are under way. */
class Flights implements Counter {
  readonly limit: FlightLimit;
  readonly #counts: Map<string, number>;
  readonly #key: string;
  readonly #budget: number;

  constructor(limit: FlightLimit, counts: Map<string, number>, key: string, budget: number) {
    this.limit = limit;
    this.#counts = counts;
    this.#key = key;
    this.#budget = budget;
  }

  room(): number {
    return this.#budget - this.#count();
  }

  take(): Unit {
    this.#counts.set(this.#key, this.#count() + 1);
    const leave = (): void => {
      if (this.#count() <= 1) this.#counts.delete(this.#key);
      else this.#counts.set(this.#key, this.#count() - 1);
    };
    return { charge: leave, release: leave };
  }

  line(charge: Charge): Accounting {
    return lineOf(this.limit, charge, this.#budget, { consumed: 0, reserved: this.#count() });
  }

  retryAfterMs(): number {
    return IN_FLIGHT_RETRY_MS;
  }

  #count(): number {
    return this.#counts.get(this.#key) ?? 0;
  }
}

/** Of a caller, which comes back with each of its calls. */
function principalKey(caller: Caller): string {
  const known = principalKeys.get(caller);
  if (known !== undefined) return known;
  const made = keyOf("principal", caller.issuer, caller.name);
  principalKeys.set(caller, made);
  return made;
}

const principalKeys = new WeakMap<Caller, string>();

/** Of a caller's session, which most often is that of its call before. */
function sessionKey({ caller, session }: InboundCall): string {
  const last = lastSessions.get(caller);
  if (last?.key === session.key && last.source === session.source) return last.made;
  const made = `${principalKey(caller)}${keyOf(session.source, session.key)}`;
  lastSessions.set(caller, { source: session.source, key: session.key, made });
  return made;
}

const lastSessions = new WeakMap<
  Caller,
  Pick<InboundCall["session"], "source" | "key"> & {
    readonly made: string;
  }
>();

/** One text for the parts, whatever stands in them: each has its length in front. */
function keyOf(...parts: readonly string[]): string {
  let key = "";
  for (const part of parts) key += `${part.length}:${part}`;
  return key;
}

/** `budget = consumed + reserved + remaining`, also where a budget was made smaller than what is counted already. */
function lineOf(limit: CountedLimit, charge: Charge, budget: number, counts: Counts): Accounting {
  const reserved = Math.min(counts.reserved, budget);
  const consumed = Math.min(counts.consumed, budget - reserved);
  return { limit, charge, budget, consumed, reserved, remaining: budget - consumed - reserved };
}
