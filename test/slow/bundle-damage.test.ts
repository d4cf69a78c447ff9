/** Every byte of a whole bundle, changed: what the quick suite does to a small one and to samples of this one. */

import { describe, expect, it } from "vitest";
import { exitOf, makeEvidence } from "../support/evidence.ts";

const { bytes, trust } = await makeEvidence();

describe("a whole bundle", () => {
  it("does not pass with any one byte changed", { timeout: 600_000 }, () => {
    const unseen = [...bytes.keys()].filter((at) => exitOf(bytes.with(at, (bytes[at] ?? 0) ^ 1), trust) === 0);
    expect(unseen).toEqual([]);
    expect(bytes.length).toBeGreaterThan(15_000);
  });

  it("does not pass cut off anywhere", { timeout: 600_000 }, () => {
    expect([...bytes.keys()].filter((length) => exitOf(bytes.slice(0, length), trust) !== 3)).toEqual([]);
  });
});
