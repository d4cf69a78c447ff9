/** The crash suite's plan visits every named step first, tries again what was missed, and holds starts against a bound. */

import { describe, expect, it } from "vitest";
import { allSteps, jobsOf, unplannedSteps } from "../crash/jobs.ts";
import { KillQueue } from "../crash/kill-queue.ts";
import type { Kill } from "../crash/schedule.ts";
import { measureStart, ownMs, StartMeter } from "../crash/start-cost.ts";
import { Tally } from "../crash/tally.ts";

const SEEDS = [1, 7, 4711, 999_999];
const STEPS = allSteps().length;
const SPARE = allSteps().filter((step) => step.startsWith("spare."));

describe("the kills of a run", () => {
  it.each(SEEDS)("visit each named step once before anything else, if there are as many of them (seed %i)", (seed) => {
    for (const kills of [STEPS, STEPS + 1, 100, 1000]) {
      const jobs = jobsOf({ kills, seed });
      expect(unplannedSteps(jobs)).toEqual([]);
      const steps = jobs.flatMap((job) => (job.kind === "receipts" ? job.kills : [])).map(({ plan }) => plan?.step);
      // Those at spare files come before everything else of their folder.
      expect(new Set(steps.slice(0, SPARE.length))).toEqual(new Set(SPARE));
      const others = steps.filter((step) => step === undefined || !SPARE.includes(step));
      expect(new Set(others.slice(0, STEPS - SPARE.length)).size).toBe(STEPS - SPARE.length);
      expect(jobs.reduce((sum, job) => sum + job.kills.length, 0)).toBe(kills);
    }
  });

  it("leave steps out where they are fewer, and that is known", () => {
    expect(unplannedSteps(jobsOf({ kills: STEPS - 1, seed: 1 }))).toHaveLength(1);
    expect(unplannedSteps(jobsOf({ kills: 1, seed: 1 }))).toHaveLength(STEPS - 1);
  });

  it.each(SEEDS)("come at any moment too, of 100 at least a tenth (seed %i)", (seed) => {
    const kills = jobsOf({ kills: 100, seed }).flatMap((job) => job.kills);
    expect(kills.filter(({ plan }) => plan === undefined).length).toBeGreaterThanOrEqual(10);
  });

  it("follow from the seed", () => {
    expect(jobsOf({ kills: 200, seed: 5 })).toEqual(jobsOf({ kills: 200, seed: 5 }));
    expect(jobsOf({ kills: 200, seed: 5 })).not.toEqual(jobsOf({ kills: 200, seed: 6 }));
  });
});

describe("a step that was missed", () => {
  const at = (delayMs: number, step?: "head.torn"): Kill => ({
    victim: "ledger",
    isServing: true,
    delayMs,
    ...(step === undefined ? {} : { plan: { step, skip: 0 } }),
  });

  it("is tried again in place of the next kill that names none, and the number of kills stays", () => {
    const [missed, named, anywhere, last] = [at(1, "head.torn"), at(2, "head.torn"), at(3), at(4)];
    const queue = new KillQueue([missed, named, anywhere, last]);
    expect(queue.next()).toBe(missed);
    queue.missed(missed);
    expect([queue.next(), queue.next(), queue.next(), queue.next()]).toEqual([named, missed, last, undefined]);
  });

  it("is given up after two more tries", () => {
    const [missed, ...others] = [at(1, "head.torn"), at(2), at(3), at(4)];
    const queue = new KillQueue([missed, ...others]);
    const taken = Array.from({ length: 4 }, () => {
      const kill = queue.next();
      if (kill === missed) queue.missed(kill);
      return kill;
    });
    expect(taken).toEqual([missed, missed, missed, others[2]]);
  });
});

describe("the bound of a start", () => {
  /** A period of a start: its end, and of each thread what it has computed and waited until then, in milliseconds. */
  type Period = readonly [endMs: number, threads: Readonly<Record<string, readonly [busy: number, waited: number]>>];

  function ownOf(...periods: readonly Period[]): number {
    const meter = new StartMeter();
    for (const [endMs, threads] of periods) {
      const times = Object.entries(threads).map(
        ([id, [busy, waited]]) => [id, `${busy}000000 ${waited}000000 5\n`] as const,
      );
      meter.take(endMs, new Map(times));
    }
    return ownMs(meter.cost);
  }

  it("counts neither time in which a thread waited for a processor, nor less than one of them computed", () => {
    expect(ownOf([9000, { a: [1000, 6000], b: [200, 1000] }])).toBe(2000);
    expect(ownOf([9000, { a: [3000, 6000], b: [200, 2000] }])).toBe(3000);
    expect(ownOf([9000, {}])).toBe(9000);
    // A thread that ended, and one that began.
    expect(ownOf([4000, { a: [100, 1000] }], [9000, { b: [100, 2000] }])).toBe(6000);
  });

  it("leaves time in which threads waited beside each other out once", () => {
    const beside = { a: [10, 2000], b: [10, 2000], c: [10, 2000] } as const;
    expect(ownOf([2000, beside], [9000, beside])).toBe(7000);
    expect(ownOf([9000, { a: [3000, 9000], b: [200, 9000] }])).toBe(3000);
  });

  it("is broken by a start that computes, or only waits, for so long", () => {
    const tally = new Tally();
    expect(tally.startFault(5000)).toBeDefined();
    tally.started({ wallMs: 60_000, waitedMs: 59_000, busiestMs: 900 });
    expect(tally.startFault(5000)).toBeUndefined();
    tally.started({ wallMs: 6000, waitedMs: 10, busiestMs: 300 });
    expect(tally.startFault(5000)).toMatch(/5990 ms of its own/u);
    const computing = new Tally();
    computing.started({ wallMs: 60_000, waitedMs: 90_000, busiestMs: 5100 });
    expect(computing.startFault(5000)).toMatch(/5100 ms of its own/u);
  });

  it("reads what this process took", async () => {
    const end = measureStart();
    await new Promise((resolve) => setTimeout(resolve, 50));
    const { wallMs, waitedMs, busiestMs } = end();
    expect(wallMs).toBeGreaterThan(50);
    expect(waitedMs).toBeLessThanOrEqual(wallMs);
    if (process.platform === "linux") expect(busiestMs).toBeGreaterThan(0);
  });
});
