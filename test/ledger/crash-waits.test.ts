/** The crash suite waits for what goes on, however slow the machine is, and for nothing that stands still; its ports are its own. */

import { describe, expect, it } from "vitest";
import { freePort } from "../crash/ports.ts";
import { untilDone } from "../crash/progress.ts";

/** Waits for something of which so much is left, look by look, a second apart. @returns the outcome and the seconds that it took */
async function waitFor(lefts: readonly number[], limitMs: number): Promise<readonly [boolean, number]> {
  let seconds = 0;
  const isDone = await untilDone({
    left: () => lefts[Math.min(seconds, lefts.length - 1)] ?? 0,
    limitMs,
    nowMs: () => seconds * 1000,
    rest: async () => {
      seconds += 1;
    },
  });
  return [isDone, seconds];
}

describe("waiting by progress", () => {
  it("ends when nothing is left, at once if nothing was", async () => {
    expect(await waitFor([0], 5000)).toEqual([true, 0]);
    expect(await waitFor([-1], 5000)).toEqual([true, 0]);
    expect(await waitFor([2, 1, 0], 5000)).toEqual([true, 2]);
  });

  it("takes any time as long as it goes on", async () => {
    const slow = Array.from({ length: 100 }, (_, i) => Math.ceil((100 - i) / 5));
    expect(await waitFor([...slow, 0], 5000)).toEqual([true, 100]);
  });

  it("fails when nothing of it is done within the limit", async () => {
    expect(await waitFor([3, 3, 2], 5000)).toEqual([false, 8]);
    expect(await waitFor([1], 5000)).toEqual([false, 6]);
  });

  it("takes no going back and forth for progress", async () => {
    expect(await waitFor([2, 3, 2, 3, 2, 3, 2, 3, 2, 3], 5000)).toEqual([false, 6]);
  });
});

describe("a port of the crash suite", () => {
  it("is none that a system gives away by itself, and is given once", async () => {
    const ports = await Promise.all(Array.from({ length: 50 }, () => freePort()));
    for (const port of ports) expect(port).toBeLessThan(32_768);
    expect(new Set(ports).size).toBe(ports.length);
  });
});
