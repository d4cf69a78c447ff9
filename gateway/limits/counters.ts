/**
 * The counters of a run, found by what they count. What is empty is forgotten, so their number is bounded by the calls of
 * a minute; above a fixed bound a new counter has no room.
 */

import type { Accounting } from "../../kernel/receipt/fields.ts";
import type { Charge } from "../../kernel/receipt/vocabulary.ts";
import type { Caller, InboundCall } from "../pipeline/call.ts";
import type { CallLimits } from "./call-limits.ts";
import { type Counts, RateWindow, type Unit } from "./rate-window.ts";

/** Counters that a call may meet here; those of the edge are its own. */
export type CountedLimit =
  | "calls-per-minute-principal"
  | "calls-per-minute-session"
  | "calls-per-minute-tool"
  | "calls-in-flight-tool";

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
  readonly #windows = new Map<string, RateWindow>();
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
    const { source, key } = call.session;
    const principal = principalKey(call.caller);
    const tool = call.target.kind === "tool" ? `${call.serverId}/${call.target.name}` : undefined;
    const perTool = tool === undefined ? undefined : perMinute.tools.get(tool);
    const atOnce = tool === undefined ? undefined : inFlight.tools.get(tool);
    const counters: Counter[] = [];
    if (tool !== undefined && atOnce !== undefined) counters.push(new Flights(this.#inFlight, tool, atOnce));
    if (tool !== undefined && perTool !== undefined) {
      counters.push(this.#rate("calls-per-minute-tool", keyOf("tool", tool), perTool));
    }
    counters.push(
      this.#rate("calls-per-minute-session", `${principal}${keyOf(source, key)}`, perMinute.session),
      this.#rate("calls-per-minute-principal", principal, perMinute.principal),
    );
    return counters;
  }

  #rate(limit: CountedLimit, key: string, budget: number): Counter {
    const window = this.#window(key);
    return new Rate(limit, budget, window, window !== this.#noRoom, this.#monotonicMs);
  }

  #window(key: string): RateWindow {
    const known = this.#windows.get(key);
    if (known !== undefined) return known;
    if (this.#windows.size >= MAX_COUNTERS) this.#forgetEmpty();
    if (this.#windows.size >= MAX_COUNTERS) return this.#noRoom;
    const made = new RateWindow();
    this.#windows.set(key, made);
    return made;
  }

  /** At most once a second, since it looks at all of them. */
  #forgetEmpty(): void {
    const nowMs = this.#monotonicMs();
    if (nowMs < this.#sweptMs + SWEEP_MS) return;
    this.#sweptMs = nowMs;
    for (const [key, window] of this.#windows) if (window.isEmpty(nowMs)) this.#windows.delete(key);
  }
}

/** Of a window. One is made for each call that meets it, since budgets change. */
class Rate implements Counter {
  readonly limit: CountedLimit;
  readonly #budget: number;
  readonly #window: RateWindow;
  readonly #hasRoom: boolean;
  readonly #nowMs: () => number;

  constructor(limit: CountedLimit, budget: number, window: RateWindow, hasRoom: boolean, nowMs: () => number) {
    this.limit = limit;
    this.#budget = budget;
    this.#window = window;
    this.#hasRoom = hasRoom;
    this.#nowMs = nowMs;
  }

  room(): number {
    return this.#hasRoom ? this.line("reserved").remaining : 0;
  }

  take(): Unit {
    return this.#window.reserve(this.#nowMs());
  }

  line(charge: Charge): Accounting {
    return lineOf(this.limit, charge, this.#budget, this.#window.counts(this.#nowMs()));
  }

  retryAfterMs(): number {
    return Math.max(1, this.#window.freesInMs(this.#nowMs()));
  }
}

/** Of the calls of one tool that are under way. */
class Flights implements Counter {
  readonly limit = "calls-in-flight-tool";
  readonly #counts: Map<string, number>;
  readonly #tool: string;
  readonly #budget: number;

  constructor(counts: Map<string, number>, tool: string, budget: number) {
    this.#counts = counts;
    this.#tool = tool;
    this.#budget = budget;
  }

  room(): number {
    return this.#budget - this.#count();
  }

  take(): Unit {
    this.#counts.set(this.#tool, this.#count() + 1);
    const leave = (): void => {
      if (this.#count() <= 1) this.#counts.delete(this.#tool);
      else this.#counts.set(this.#tool, this.#count() - 1);
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
    return this.#counts.get(this.#tool) ?? 0;
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
