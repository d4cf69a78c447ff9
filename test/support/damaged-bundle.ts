/** Every byte of a whole bundle, changed: what the quick suite does to a small one and to samples of this one. */

import { describe, expect, it } from "vitest";
import { exitOf, makeEvidence } from "./evidence.ts";

/** How many files share the sweep, so that it runs on several cores. */
const PARTS = 2;

/**
 * Declares the tests of one part: every `PARTS`-th byte.
 *
 * @param part  from 0
 */
export async function sweepBundle(part: number): Promise<void> {
  const { bytes, trust } = await makeEvidence();
  const places = [...bytes.keys()].filter((at) => at % PARTS === part);
  describe(`a whole bundle, part ${part + 1} of ${PARTS}`, () => {
    it("does not pass with any one byte changed", () => {
      const unseen = places.filter((at) => exitOf(bytes.with(at, (bytes[at] ?? 0) ^ 1), trust) === 0);
      expect(unseen).toEqual([]);
      expect(bytes.length).toBeGreaterThan(15_000);
    });

    it("does not pass cut off anywhere", () => {
      expect(places.filter((length) => exitOf(bytes.slice(0, length), trust) !== 3)).toEqual([]);
    });
  });
}
