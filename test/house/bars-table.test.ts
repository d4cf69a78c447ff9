/** The table of `npm run bench:ledger`: ratios say "times as good" whichever way is better, and no cell is lost. */

import { describe, expect, it } from "vitest";
import { type Figure, formatQuantity, formatTable, median, quantile, timesAsGood } from "../bench/bars/frame.ts";

const RATE: Figure = { what: "entries", value: 14_000, unit: "/s", bar: 28_000, peer: 7000, note: "on a busy machine" };
const LATENCY: Figure = { what: "a proof", value: 2.5, unit: "ms", bar: 5 };

describe("the table of the bars", () => {
  it("counts more of a rate as better, and less of a time", () => {
    expect(timesAsGood(RATE, 28_000)).toBe(0.5);
    expect(timesAsGood(LATENCY, 5)).toBe(2);
  });

  it("has a line a figure, empty cells where there is no bar or peer, and the notes below", () => {
    expect(formatTable([RATE, LATENCY]).split("\n")).toEqual([
      "| What | Bar | Here | × bar | Peer | × peer | Note |",
      "| --- | --- | --- | --- | --- | --- | --- |",
      "| entries | 28,000/s | 14,000/s | 0.50 | 7,000/s | 2.0 | 1 |",
      "| a proof | 5.0 ms | 2.5 ms | 2.0 |  |  |  |",
      "",
      "- 1: on a busy machine",
    ]);
  });

  it("shows digits that say something", () => {
    expect(["us", "ms", "s"].map((_, i) => formatQuantity([0.0123, 12.345, 1234.5][i] ?? 0, "ms"))).toEqual([
      "0.012 ms",
      "12.3 ms",
      "1,235 ms",
    ]);
  });

  it("takes medians and quantiles of unsorted rounds and sorted samples", () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([])).toBe(0);
    expect(quantile([1, 2, 3, 4], 0.5)).toBe(3);
    expect(quantile([1, 2, 3, 4], 1)).toBe(4);
  });
});
