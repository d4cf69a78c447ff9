/**
 * What a start took of its own, whatever else the machine did: the time until it listened without that in which some of its
 * threads was ready to run and had no processor (Linux' `schedstat`). Of threads that wait beside each other the time counts
 * once: it is read every few milliseconds how long each has waited, and of such a period no more is left out than it is long.
 * Waits of one period that do not fill it are taken to follow each other. What is left is no less than what the busiest thread
 * computed, which no neighbour changes.
 */

import { existsSync, readdirSync, readFileSync } from "node:fs";

/** Milliseconds of a process from its begin to its listening. */
export interface StartCost {
  readonly wallMs: number;
  /** In which some thread was ready to run and waited for a processor; 0 where the system does not say. */
  readonly waitedMs: number;
  /** Of the thread that computed most; 0 where the system does not say. */
  readonly busiestMs: number;
}

/** `schedstat` by thread: nanoseconds on a processor, nanoseconds waiting for one, turns. */
export type ThreadTimes = ReadonlyMap<string, string>;

const TASKS = "/proc/self/task";
const NS_A_MS = 1e6;
const PERIOD_MS = 10;

/** Adds the periods of a start up. */
export class StartMeter {
  readonly #waited = new Map<string, number>();
  #wallMs = 0;
  #waitedMs = 0;
  #busiestMs = 0;

  /** Ends a period. @param nowMs  since the process began */
  take(nowMs: number, threads: ThreadTimes): void {
    let sum = 0;
    for (const [id, text] of threads) {
      const [busy = 0, waited = 0] = text.split(" ").map((field) => Number(field) / NS_A_MS);
      sum += waited - (this.#waited.get(id) ?? 0);
      this.#waited.set(id, waited);
      this.#busiestMs = Math.max(this.#busiestMs, busy);
    }
    this.#waitedMs += Math.min(sum, nowMs - this.#wallMs);
    this.#wallMs = nowMs;
  }

  get cost(): StartCost {
    return { wallMs: this.#wallMs, waitedMs: this.#waitedMs, busiestMs: this.#busiestMs };
  }
}

/** Measures this process from its begin on. @returns ends the measurement */
export function measureStart(): () => StartCost {
  const meter = new StartMeter();
  const take = (): void => meter.take(performance.now(), readThreads());
  take();
  const timer = setInterval(take, PERIOD_MS);
  timer.unref();
  return () => {
    clearInterval(timer);
    take();
    return meter.cost;
  };
}

/** What the start took of its own, in milliseconds: without neighbours it would not have been shorter. */
export function ownMs({ wallMs, waitedMs, busiestMs }: StartCost): number {
  return Math.max(wallMs - waitedMs, busiestMs);
}

function readThreads(): ThreadTimes {
  // Not Linux: then all of the time counts.
  if (!existsSync(TASKS)) return new Map();
  const found = readdirSync(TASKS).flatMap((id): (readonly [string, string])[] => {
    try {
      return [[id, readFileSync(`${TASKS}/${id}/schedstat`, "utf8")]];
    } catch {
      // It ended meanwhile, or this kernel does not count.
      return [];
    }
  });
  return new Map(found);
}
