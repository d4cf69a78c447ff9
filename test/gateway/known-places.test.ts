import { describe, expect, it } from "vitest";
import type { Hit } from "../../gateway/inspection/hit.ts";
import { KnownPlaces } from "../../gateway/inspection/known-places.ts";

const RULES = ["pii.email", "secret.jwt"] as const;
const LENGTH = 24;

/** Hits that overlap, touch and stand apart, in no order. */
function hitsOf(seed: number): readonly Hit[] {
  return Array.from({ length: 6 }, (_, i): Hit => {
    const start = (seed * 7 + i * 11) % LENGTH;
    return { rule: RULES[(seed + i) % 2] ?? RULES[0], severity: "warn", start, end: start + 1 + ((seed + i * 5) % 4) };
  });
}

describe("KnownPlaces", () => {
  it.each([0, 1, 2, 3, 5, 8, 13])("touches what any of its hits touches (%i)", (seed) => {
    const hits = hitsOf(seed);
    const known = new KnownPlaces(hits);
    for (const rule of RULES) {
      for (let start = 0; start < LENGTH; start += 1) {
        for (let end = start + 1; end <= LENGTH; end += 1) {
          const isTouched = hits.some((hit) => hit.rule === rule && hit.start < end && start < hit.end);
          expect(known.touches(rule, start, end)).toBe(isTouched);
        }
      }
    }
  });

  it("covers what is inside one of its hits, or of those that overlap", () => {
    const at = (start: number, end: number): Hit => ({ rule: "secret.jwt", severity: "block", start, end });
    const known = new KnownPlaces([at(10, 20), at(2, 5), at(20, 22), at(30, 36), at(34, 40)]);
    const covers = (start: number, end: number): boolean => known.covers("secret.jwt", start, end);
    expect([covers(2, 5), covers(10, 20), covers(12, 13), covers(31, 39)]).toEqual([true, true, true, true]);
    expect([covers(1, 5), covers(2, 6), covers(19, 21), covers(22, 30), covers(39, 41)]).toEqual(Array(5).fill(false));
    expect(known.covers("pii.email", 2, 5)).toBe(false);
  });

  it("knows nothing without hits", () => {
    expect(new KnownPlaces([]).touches("pii.email", 0, 9)).toBe(false);
  });
});
