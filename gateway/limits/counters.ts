/**
 * The counters of a run, found by what they count. What is empty is forgotten, so their number is bounded by the calls of
 * a minute; above a fixed bound a new counter has no room.
 */

import type { Accounting } from "../../kernel/receipt/fields.ts";
import type { Charge } from "../../kernel/receipt/vocabulary.ts";
import type { InboundCall } from "../pipeline/call.ts";
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
    const { issuer, name } = call.caller;
    const { source, key } = call.session;
    const tool = call.target.kind === "tool" ? `${call.serverId}/${call.target.name}` : undefined;
    const perTool = tool === undefined ? undefined : perMinute.tools.get(tool);
    const atOnce = tool === undefined ? undefined : inFlight.tools.get(tool);
    return [
      ...(tool === undefined || atOnce === undefined ? [] : [this.#flights(tool, atOnce)]),
      ...(tool === undefined || perTool === undefined ? [] : [this.#rate("calls-per-minute-tool", [tool], perTool)]),
      this.#rate("calls-per-minute-session", [issuer, name, source, key], perMinute.session),
      this.#rate("calls-per-minute-principal", [issuer, name], perMinute.principal),
    ];
  }

  #rate(limit: CountedLimit, parts: readonly string[], budget: number): Counter {
    const window = this.#window(JSON.stringify([limit, ...parts]));
    const nowMs = this.#monotonicMs;
    const line = (charge: Charge): Accounting => lineOf(limit, charge, budget, window.counts(nowMs()));
    return {
      limit,
      line,
      room: () => (window === this.#noRoom ? 0 : line("reserved").remaining),
      take: () => window.reserve(nowMs()),
      retryAfterMs: () => Math.max(1, window.freesInMs(nowMs())),
    };
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

  #flights(tool: string, budget: number): Counter {
    const count = (): number => this.#inFlight.get(tool) ?? 0;
    const leave = (): void => {
      if (count() <= 1) this.#inFlight.delete(tool);
      else this.#inFlight.set(tool, count() - 1);
    };
    const line = (charge: Charge): Accounting =>
      lineOf("calls-in-flight-tool", charge, budget, { consumed: 0, reserved: count() });
    return {
      limit: "calls-in-flight-tool",
      line,
      room: () => budget - count(),
      take: () => {
        this.#inFlight.set(tool, count() + 1);
        return { charge: leave, release: leave };
      },
      retryAfterMs: () => IN_FLIGHT_RETRY_MS,
    };
  }
}

/** `budget = consumed + reserved + remaining`, also where a budget was made smaller than what is counted already. */
function lineOf(limit: CountedLimit, charge: Charge, budget: number, counts: Counts): Accounting {
  const reserved = Math.min(counts.reserved, budget);
  const consumed = Math.min(counts.consumed, budget - reserved);
  return { limit, charge, budget, consumed, reserved, remaining: budget - consumed - reserved };
}
