/** Calls in flight, in all and by caller: what is above a bound is refused, never queued. */

import type { Accounting } from "../../kernel/receipt/fields.ts";
import type { ReasonCode } from "../../kernel/receipt/reasons.ts";
import type { LimitId } from "../../kernel/receipt/vocabulary.ts";
import type { Party } from "../pipeline/call.ts";
import { callerKey } from "./caller-key.ts";

/** A place that was taken, or the bound that is reached. */
export type Place =
  | { readonly type: "taken"; readonly leave: () => void }
  | { readonly type: "full"; readonly reason: ReasonCode; readonly accounting: Accounting };

/** The bound that is reached. */
export type FullPlace = Extract<Place, { type: "full" }>;

/** How many may be under way. */
export interface InFlightBounds {
  readonly total: number;
  /** Of one caller. */
  readonly principal: number;
}

/** Counts calls. */
export interface InFlight {
  /** @param bounds  what holds for this one; undefined: what holds for all */
  readonly enter: (caller: Party, bounds?: InFlightBounds) => Place;
  /** The bound that would be reached if so many places of the caller were given back; undefined: there would be one. */
  readonly bound: (caller: Party, freed: number) => FullPlace | undefined;
  /** Resolves when no call is in flight. */
  readonly drained: () => Promise<void>;
}

/** What a full counter is called: in all, and by caller. */
export interface InFlightNames {
  readonly total: { readonly reason: ReasonCode; readonly limit: LimitId };
  readonly own: { readonly reason: ReasonCode; readonly limit: LimitId };
}

const CALLS: InFlightNames = {
  total: { reason: "limit.total", limit: "calls-in-flight-total" },
  own: { reason: "limit.in-flight", limit: "calls-in-flight-principal" },
};

/** Makes the counter. */
export function makeInFlight(maxTotal: number, maxPerCaller: number, names: InFlightNames = CALLS): InFlight {
  const usual = { total: maxTotal, principal: maxPerCaller };
  const byCaller = new Map<string, number>();
  const waiting: (() => void)[] = [];
  let total = 0;
  const leave = (key: string): void => {
    total -= 1;
    const left = (byCaller.get(key) ?? 1) - 1;
    if (left === 0) byCaller.delete(key);
    else byCaller.set(key, left);
    if (total === 0) for (const resolve of waiting.splice(0)) resolve();
  };
  const boundOf = (key: string, { total: most, principal: mostOwn }: InFlightBounds, freed: number): Reached => {
    if (total - freed >= most) return full(names.total, most);
    return (byCaller.get(key) ?? 0) - freed >= mostOwn ? full(names.own, mostOwn) : undefined;
  };
  return {
    bound: (caller, freed) => boundOf(callerKey(caller), usual, freed),
    enter: (caller, bounds = usual) => {
      const key = callerKey(caller);
      const bound = boundOf(key, bounds, 0);
      if (bound !== undefined) return bound;
      total += 1;
      byCaller.set(key, (byCaller.get(key) ?? 0) + 1);
      let isLeft = false;
      const leaveOnce = (): void => {
        if (!isLeft) leave(key);
        isLeft = true;
      };
      return { type: "taken", leave: leaveOnce };
    },
    drained: () => (total === 0 ? Promise.resolve() : new Promise((resolve) => waiting.push(resolve))),
  };
}

type Reached = FullPlace | undefined;

/** Every place is taken by a call that is under way. */
function full({ reason, limit }: InFlightNames["own"], budget: number): FullPlace {
  const accounting = { limit, charge: "refused", budget, consumed: 0, reserved: budget, remaining: 0 } as const;
  return { type: "full", reason, accounting };
}
