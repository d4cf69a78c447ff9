/** The folders of a run and the kills of each, as the seed has them, and which named steps these visit. */

import { Random } from "./random.ts";
import { type Kill, Schedule } from "./schedule.ts";
import { type LogKind, type Step, stepsOf, VICTIMS } from "./steps.ts";

const KILLS_OF_EPOCH = 50;

/** One folder that is still to come. */
export interface Job {
  readonly kind: LogKind;
  readonly number: number;
  readonly kills: readonly Kill[];
}

/** All folders and their kills. Two of three are logs of receipts, the first among them: they pass every named step. */
export function jobsOf({ kills, seed }: { readonly kills: number; readonly seed: number }): Job[] {
  const schedules = {
    raw: new Schedule("raw", new Random(seed, "schedule raw")),
    receipts: new Schedule("receipts", new Random(seed, "schedule receipts")),
  };
  return Array.from({ length: Math.ceil(kills / KILLS_OF_EPOCH) }, (_, number) => {
    const kind = number % 3 === 1 ? "raw" : "receipts";
    const length = Math.min(KILLS_OF_EPOCH, kills - number * KILLS_OF_EPOCH);
    return { kind, number, kills: spareFirst(Array.from({ length }, () => schedules[kind].next())) };
  });
}

/** A folder makes files for its write-ahead log only as long as retired ones do not do: what is killed there is killed first. */
function spareFirst(kills: readonly Kill[]): readonly Kill[] {
  const isSpare = ({ plan }: Kill): boolean => plan?.step.startsWith("spare.") === true;
  return [...kills.filter(isSpare), ...kills.filter((kill) => !isSpare(kill))];
}

/** Every named step of every process. */
export function allSteps(): readonly Step[] {
  return VICTIMS.flatMap((victim) => stepsOf(victim, "receipts"));
}

/** Named steps at which none of these kills is planned. */
export function unplannedSteps(jobs: readonly Job[]): readonly Step[] {
  const planned = new Set(jobs.flatMap(({ kills }) => kills.map(({ plan }) => plan?.step)));
  return allSteps().filter((step) => !planned.has(step));
}
