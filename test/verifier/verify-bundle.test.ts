import { describe, expect, it } from "vitest";
import { OBLIGATION_IDS } from "../../kernel/obligation.ts";
import { makeEvidence, verify, WITNESSED, wordsOf } from "../support/evidence.ts";

const honest = await makeEvidence();

describe("honest evidence under the keys that it was made with", () => {
  it("passes everything that software keys can pass", () => {
    const result = verify(honest);
    expect(wordsOf(result)).toEqual({});
    expect(result).toMatchObject({ exit: 0, verified: true, at: { source: "witnesses", time: WITNESSED } });
    expect(result.obligations.map(({ id }) => id)).toEqual(OBLIGATION_IDS);
  });
});
