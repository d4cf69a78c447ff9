/** Calls in flight, in all and by caller: what is above a bound is refused, never queued. */

import type { ReasonCode } from "../../kernel/receipt/reasons.ts";
import type { Caller } from "../pipeline/call.ts";

/** A place that was taken, or the bound that is reached. */
export type Place =
  | { readonly type: "taken"; readonly leave: () => void }
  | { readonly type: "full"; readonly reason: ReasonCode };

/** Counts calls. */
export interface InFlight {
  readonly enter: (caller: Caller) => Place;
  /** Resolves when no call is in flight. */
  readonly drained: () => Promise<void>;
}

/** Makes the counter. */
export function makeInFlight(maxTotal: number, maxPerCaller: number): InFlight {
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
  return {
    enter: ({ issuer, name }) => {
      const key = JSON.stringify([issuer, name]);
      const own = byCaller.get(key) ?? 0;
      if (total >= maxTotal) return { type: "full", reason: "limit.total" };
      if (own >= maxPerCaller) return { type: "full", reason: "limit.in-flight" };
      total += 1;
      byCaller.set(key, own + 1);
      return { type: "taken", leave: once(() => leave(key)) };
    },
    drained: () => (total === 0 ? Promise.resolve() : new Promise((resolve) => waiting.push(resolve))),
  };
}

function once(action: () => void): () => void {
  let isDone = false;
  return () => {
    if (!isDone) action();
    isDone = true;
  };
}
