/** What a run counted, and what it prints. */

import { ownMs, type StartCost } from "./start-cost.ts";
import type { Step, Victim } from "./steps.ts";

/** What one epoch came to. */
export interface EpochSums {
  readonly acknowledged: number;
  readonly size: bigint;
  readonly heads: number;
}

interface StepCount {
  reached: number;
  missed: number;
}

/** Counts of all epochs. */
export class Tally {
  readonly #victims: Record<Victim, number> = { ledger: 0, witness: 0, gateway: 0 };
  readonly #steps = new Map<Step, StepCount>();
  #slowest: StartCost | undefined;
  #acknowledged = 0;
  #heads = 0;
  #largest = 0n;

  /** @param step  where the kill was planned @param isReached  whether the process stood there */
  killed(victim: Victim, step: Step | undefined, isReached: boolean): void {
    this.#victims[victim] += 1;
    if (step === undefined) return;
    const count = this.#steps.get(step) ?? { reached: 0, missed: 0 };
    count[isReached ? "reached" : "missed"] += 1;
    this.#steps.set(step, count);
  }

  /** @param cost  of a ledger's start */
  started(cost: StartCost): void {
    if (this.#slowest === undefined || ownMs(cost) > ownMs(this.#slowest)) this.#slowest = cost;
  }

  /** What is wrong with the starts: none took so long of its own as `limitMs`, and there were some; undefined if all is well. */
  startFault(limitMs: number): string | undefined {
    if (this.#slowest === undefined) return "no ledger's start was measured";
    if (ownMs(this.#slowest) < limitMs) return undefined;
    return `a ledger's start took ${formatStart(this.#slowest)}: the bar is ${limitMs} ms`;
  }

  finished({ acknowledged, size, heads }: EpochSums): void {
    this.#acknowledged += acknowledged;
    this.#heads += heads;
    if (size > this.#largest) this.#largest = size;
  }

  get kills(): number {
    return this.#victims.ledger + this.#victims.witness + this.#victims.gateway;
  }

  /** Steps of `wanted` at which nothing was killed. */
  untried(wanted: readonly Step[]): readonly Step[] {
    return wanted.filter((step) => (this.#steps.get(step)?.reached ?? 0) === 0);
  }

  /** One line a step, then the sums. */
  lines(): readonly string[] {
    const steps = [...this.#steps].toSorted(([a], [b]) => (a < b ? -1 : 1));
    const late = (count: StepCount): string => (count.missed === 0 ? "" : `, ${count.missed} not reached in time`);
    const at = steps.reduce((total, [, { reached }]) => total + reached, 0);
    const { ledger, witness, gateway } = this.#victims;
    return [
      ...steps.map(([step, count]) => `  ${step.padEnd(26)} ${count.reached}${late(count)}`),
      `${this.kills} kills (ledger ${ledger}, witness ${witness}, gateway ${gateway}; ${at} at ${steps.length} named steps), ` +
        `${this.#acknowledged} entries acknowledged, ${this.#heads} signed checkpoints seen, ` +
        `largest log ${this.#largest}, slowest start ${this.#slowest === undefined ? "unknown" : formatStart(this.#slowest)}`,
    ];
  }
}

/** What a start took, in words. */
function formatStart(cost: StartCost): string {
  const [own, wall, waited] = [ownMs(cost), cost.wallMs, cost.waitedMs].map(Math.round);
  return `${own} ms of its own, ${wall} by the clock, in ${waited} of which some thread waited for a processor`;
}
