/**
 * Which process is killed when. In logs of receipts, which pass every named step, the first kills visit each of these once. From
 * then on, and in raw logs, three of five kills are at a named step, each in its turn, and the others at any moment.
 */

import type { Random } from "./random.ts";
import { type LogKind, maxSkip, type Plan, type Step, stepsOf, VICTIMS, type Victim } from "./steps.ts";

/** One kill. */
export interface Kill {
  readonly victim: Victim;
  /** Where it happens; absent: after `delayMs`. */
  readonly plan?: Plan;
  /** Without a plan: whether the time counts from when the process serves, or from its very start. */
  readonly isServing: boolean;
  /** Milliseconds to the kill: what runs beside goes on for so long. */
  readonly delayMs: number;
}

const RANDOM_DELAY_MS = 350;
const STALL_DELAY_MS = 15;

/** Gives the kills of logs of one kind; every step of a process is planned once before one is planned again. */
export class Schedule {
  readonly #kind: LogKind;
  readonly #random: Random;
  readonly #planned: Record<Victim, Step[]> = { ledger: [], witness: [], gateway: [] };
  /** Steps that are visited first. */
  readonly #unvisited: { readonly victim: Victim; readonly step: Step }[];

  constructor(kind: LogKind, random: Random) {
    this.#kind = kind;
    this.#random = random;
    const all = VICTIMS.flatMap((victim) => stepsOf(victim, kind).map((step) => ({ victim, step })));
    this.#unvisited = kind === "receipts" ? [...random.shuffled(all)] : [];
  }

  next(): Kill {
    const first = this.#unvisited.pop();
    if (first !== undefined) return this.#killAt(first.victim, first.step, this.#random.below(3) > 0);
    const victim = this.#victim();
    const isServing = this.#random.below(3) > 0;
    if (this.#random.below(5) < 2) return { victim, isServing, delayMs: this.#random.below(RANDOM_DELAY_MS) };
    if (this.#planned[victim].length === 0) {
      this.#planned[victim] = [...this.#random.shuffled(stepsOf(victim, this.#kind))];
    }
    const step = this.#planned[victim].pop();
    if (step === undefined) throw new Error(`no steps of ${victim}`);
    return this.#killAt(victim, step, isServing);
  }

  #killAt(victim: Victim, step: Step, isServing: boolean): Kill {
    const plan: Plan = { step, skip: this.#random.below(maxSkip(step) + 1) };
    return { victim, plan, isServing, delayMs: this.#random.below(STALL_DELAY_MS) };
  }

  #victim(): Victim {
    const draw = this.#random.below(10);
    if (draw < 8) return "ledger";
    return draw === 8 || this.#kind === "raw" ? "witness" : "gateway";
  }
}
