/**
 * Rates and concurrency of calls, refused in every mode. A call takes a place in each of its counters before anything
 * else is done for it; the place is charged when its end says that the server acted or nobody knows, and given back only
 * if nothing was sent. Attempts that are refused later count like others.
 */

import type { Accounting } from "../../kernel/receipt/fields.ts";
import { present } from "../../kernel/receipt/observed.ts";
import type { Charge, LimitId } from "../../kernel/receipt/vocabulary.ts";
import { Given } from "../given.ts";
import type { InboundCall } from "../pipeline/call.ts";
import type { Denial } from "../pipeline/judge.ts";
import type { Admission, Gate, ObligationStage, ResponseStage } from "../pipeline/stage.ts";
import type { CallLimits } from "./call-limits.ts";
import { type Counter, CounterSet, FLIGHT_LIMITS } from "./counters.ts";
import type { Unit } from "./rate-window.ts";

/** What a limiter works with. */
export interface CallLimiterOptions {
  /** Asked for every call, so narrower limits take effect with the next one. */
  readonly limits: (call: InboundCall) => CallLimits;
  /** Milliseconds of a clock that never goes back. */
  readonly monotonicMs: () => number;
}

/** The limiter's places in the pipeline. */
export interface CallLimiter {
  readonly gate: Gate;
  /** Says in the decision what was taken: the last obligation, since all before it may refuse the call. */
  readonly obligation: ObligationStage;
  /** Charges or gives back: the first look at an answer, since any other may fail. */
  readonly response: ResponseStage;
}

/** A call's places. */
class Held {
  readonly counters: readonly Counter[];
  #rates: readonly Unit[];
  #flights: readonly Unit[];

  /** Takes a place in each. */
  constructor(counters: readonly Counter[]) {
    this.counters = counters;
    const rates: Unit[] = [];
    let flights: readonly Unit[] = SETTLED;
    for (const counter of counters) {
      if (!IN_FLIGHT.has(counter.limit)) rates.push(counter.take());
      else flights = [...flights, counter.take()];
    }
    this.#rates = rates;
    this.#flights = flights;
  }

  /** Charges or gives back all that is still taken. */
  settle(isSent: boolean): void {
    this.settleRates(isSent);
    settleAll(this.#flights, isSent);
    this.#flights = SETTLED;
  }

  /** A call of which a task was made is charged to its rates, and stays under way. */
  settleRates(isSent: boolean): void {
    settleAll(this.#rates, isSent);
    this.#rates = SETTLED;
  }
}

const SETTLED: readonly Unit[] = [];

/** A call that holds its places. */
class HoldingCall extends Given {
  #places: Held;

  private constructor(call: InboundCall, places: Held) {
    super(call);
    this.#places = places;
  }

  static hold(call: InboundCall, places: Held): void {
    if (#places in call) call.#places = places;
    else new HoldingCall(call, places);
  }

  static placesOf(call: InboundCall): Held | undefined {
    return #places in call ? call.#places : undefined;
  }
}

function settleAll(places: readonly Unit[], isSent: boolean): void {
  for (const place of places) isSent ? place.charge() : place.release();
}

/** What a server asks of an agent is no call of the agent's. */
const QUESTIONS: ReadonlySet<InboundCall["target"]["kind"]> = new Set(["sample", "elicit", "roots"]);

const RPC_LIMIT = -31_006;
/** What counts calls that are under way. */
const IN_FLIGHT: ReadonlySet<LimitId> = new Set(FLIGHT_LIMITS);

/** Makes the limiter of a run. */
export function makeCallLimiter({ limits, monotonicMs }: CallLimiterOptions): CallLimiter {
  const counters = new CounterSet(monotonicMs);
  const admit = (call: InboundCall): Admission => {
    if (QUESTIONS.has(call.target.kind)) return { type: "admitted" };
    const all = counters.of(call, limits(call));
    // What is under way is counted whoever began it; the rate is of what agents ask.
    const own = call.isUnasked === true ? all.filter(({ limit }) => IN_FLIGHT.has(limit)) : all;
    const full = call.isUnasked === true ? undefined : own.find((counter) => counter.room() <= 0);
    if (full !== undefined) return refusedBy(full);
    if (own.length === 0) return { type: "admitted" };
    const places = new Held(own);
    HoldingCall.hold(call, places);
    return { type: "admitted", abandon: (wasSent) => places.settle(wasSent) };
  };
  return {
    gate: { name: "limits", admit },
    obligation: {
      name: "limits",
      settle: ({ call }, _answer, settlement) => {
        const places = HoldingCall.placesOf(call);
        if (places === undefined) return settlement;
        const { action } = settlement.judged.ruling;
        const isOpen = action === "forward" || action === "phantom";
        if (!isOpen) places.settle(true);
        const accounting = present(tightest(places, isOpen ? "reserved" : "charged"));
        return { ...settlement, fields: { ...settlement.fields, accounting } };
      },
    },
    response: {
      name: "limits",
      end: ({ call, outcome }) => {
        const places = HoldingCall.placesOf(call);
        if (places === undefined) return { outcome };
        const isSent = outcome.effect !== "none";
        const isTask = outcome.status === "task_created";
        const look = (): { readonly accounting: ReturnType<typeof present<Accounting>> } => {
          if (isTask) places.settleRates(isSent);
          else places.settle(isSent);
          return { accounting: present(tightest(places, isSent ? "charged" : "released")) };
        };
        return { outcome, look };
      },
    },
  };
}

function refusedBy(counter: Counter): Admission {
  const accounting = counter.line("refused");
  const { budget, consumed, reserved } = accounting;
  const denial: Denial = {
    step: "limits",
    reason: REASONS[counter.limit],
    rpcCode: RPC_LIMIT,
    message: "Too many calls.",
    isFinal: true,
    data: { limit: counter.limit, budget, consumed, reserved, retryAfterMs: counter.retryAfterMs() },
  };
  return { type: "refused", denial, accounting };
}

const REASONS = {
  "calls-per-minute-principal": "limit.per-principal",
  "calls-per-minute-session": "limit.per-session",
  "calls-per-minute-tool": "limit.per-tool",
  "calls-in-flight-session": "limit.per-session",
  "calls-in-flight-tool": "limit.per-tool",
} as const satisfies Partial<Record<LimitId, Denial["reason"]>>;

/** The line of the counter with the least room left: the one that the next call meets first. */
function tightest({ counters }: Held, charge: Charge): Accounting {
  let least: Counter | undefined;
  let room = Number.POSITIVE_INFINITY;
  for (const counter of counters) {
    const left = Math.max(0, counter.room());
    if (least !== undefined && left >= room) continue;
    least = counter;
    room = left;
  }
  if (least === undefined) throw new Error("a call has no counter");
  return least.line(charge);
}
