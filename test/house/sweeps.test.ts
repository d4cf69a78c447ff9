/** What the quick suite only samples, the slow one runs whole: no sweep may stand in neither. */

import { describe, expect, it } from "vitest";
import { SWEPT } from "../../vitest.slow.config.ts";
import { importsOf, sourceFiles } from "../support/source-files.ts";
import { isWholeSweep, sampled } from "../support/sweep.ts";

describe("sweeps", () => {
  it("that are sampled here are run whole by the slow suite", () => {
    const sampling = sourceFiles(["test"])
      .filter(({ text }) => importsOf(text).some((specifier) => specifier.endsWith("/support/sweep.ts")))
      .map(({ path }) => path)
      .filter((path) => path !== "test/house/sweeps.test.ts");
    expect(sampling.length).toBeGreaterThan(5);
    expect(sampling.toSorted()).toEqual(SWEPT.toSorted());
  });

  it("try the last place and every n-th, and together with their shifts all", () => {
    expect(isWholeSweep).toBe(false);
    const places = Array.from({ length: 12 }, (_, i) => i);
    expect(sampled(places, 5)).toEqual([0, 5, 10, 11]);
    expect(sampled(places, 5, 7)).toEqual([2, 7, 11]);
    const all = new Set([0, 1, 2, 3, 4].flatMap((shift) => sampled(places, 5, shift)));
    expect([...all].toSorted((a, b) => a - b)).toEqual(places);
  });
});
