/**
 * What a start took of its own, whatever else the machine did: the time until it listened without that in which one of its
 * threads was ready to run and had no processor (Linux' `schedstat`). Threads wait beside each other too, so this is at most
 * what the start takes on a machine of its own; no less than what its busiest thread computed, which no neighbour changes.
 */

import { existsSync, readdirSync, readFileSync } from "node:fs";

/** Milliseconds of a process from its begin to its listening. */
export interface StartCost {
  readonly wallMs: number;
  /** In which a thread was ready to run and waited for a processor: the sum over its threads; 0 where the system does not say. */
  readonly waitedMs: number;
  /** Of the thread that computed most; 0 where the system does not say. */
  readonly busiestMs: number;
}

const TASKS = "/proc/self/task";
const NS_A_MS = 1e6;

/** The cost of this process until now. */
export function readStartCost(): StartCost {
  return startCostOf(performance.now(), readThreads());
}

/** @param threads  `schedstat` of each: nanoseconds on a processor, nanoseconds waiting for one, turns */
export function startCostOf(wallMs: number, threads: readonly string[]): StartCost {
  const times = threads.map((text) => text.split(" ").map((field) => Number(field) / NS_A_MS));
  const waitedMs = times.reduce((sum, [, waited = 0]) => sum + waited, 0);
  const busiestMs = times.reduce((most, [busy = 0]) => Math.max(most, busy), 0);
  return { wallMs, waitedMs, busiestMs };
}

/** What the start took of its own, in milliseconds: without neighbours it would not have been shorter. */
export function ownMs({ wallMs, waitedMs, busiestMs }: StartCost): number {
  return Math.max(wallMs - waitedMs, busiestMs);
}

function readThreads(): readonly string[] {
  // Not Linux: then all of the time counts.
  if (!existsSync(TASKS)) return [];
  return readdirSync(TASKS).flatMap((id) => {
    try {
      return [readFileSync(`${TASKS}/${id}/schedstat`, "utf8")];
    } catch {
      // It ended meanwhile, or this kernel does not count.
      return [];
    }
  });
}
