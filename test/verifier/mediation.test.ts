/** `route.mediation`: never a pass, and always the plainest reason. */

import { describe, expect, it } from "vitest";
import { observedValue } from "../../kernel/receipt/observed.ts";
import { formatRouteTest, type RouteState, type RouteTest } from "../../kernel/route-test.ts";
import { verifyBundle } from "../../verifier/verify-bundle.ts";
import { LOADS, makeEvidence, WITNESSED, wordOf } from "../support/evidence.ts";
import { receiptContents } from "../support/receipts.ts";

const BOUNDARY = observedValue(receiptContents().decision.boundary) ?? "";
const honest = await makeEvidence({ trust: { require: ["route.mediation"] } });

const testOf = (states: Readonly<Record<string, RouteState>>, changes: Partial<RouteTest> = {}): Uint8Array =>
  formatRouteTest({
    kind: "route-test",
    v: 1,
    time: WITNESSED,
    from: "a laptop",
    boundary: BOUNDARY,
    routes: Object.entries(states).map(([server, state]) => ({ server, state })),
    ...changes,
  });

const judged = (
  routeTests: readonly Uint8Array[] | undefined,
  { bytes, trust } = honest,
): readonly [string, number | undefined, number] => {
  const result = verifyBundle({ bundle: bytes, trust, ...(routeTests === undefined ? {} : { routeTests }) });
  const found = result.obligations.find(({ id }) => id === "route.mediation");
  return [
    wordOf(result, "route.mediation"),
    found?.verdict === "not_established" ? found.count : undefined,
    result.exit,
  ];
};

describe("mediation", () => {
  it("is not established without a test, and by none", () => {
    expect(judged(undefined)).toEqual(["route.untested", 1, 2]);
    expect(judged([testOf({})])).toEqual(["route.untested", 1, 2]);
    expect(judged([testOf({ files: "untested" })])).toEqual(["route.untested", 1, 2]);
    expect(judged([testOf({ crm: "silent", erp: "silent", files: "untested" })])).toEqual(["route.vantage", 2, 2]);
  });

  it("names the plainest way around, whichever test has it", () => {
    const quiet = testOf({ crm: "silent" });
    expect(judged([quiet, testOf({ crm: "refused" })])).toEqual(["route.credential", 1, 2]);
    expect(judged([testOf({ crm: "refused" }), quiet, testOf({ erp: "answered" })])).toEqual(["route.direct", 1, 2]);
    const { obligations } = verifyBundle({
      bundle: honest.bytes,
      trust: honest.trust,
      routeTests: [testOf({ erp: "answered" })],
    });
    expect(obligations.at(-1)).toMatchObject({
      subject: BOUNDARY,
      detail: `erp answered without the gateway, from "a laptop", at ${WITNESSED}`,
    });
  });

  it("is not spoken of by a test of other servers", () => {
    const other = testOf({ crm: "answered" }, { boundary: `sha256:${"0".repeat(64)}` });
    expect(judged([other])).toEqual(["route.other-gateway", 1, 2]);
    expect(judged([other, testOf({ crm: "silent" })])).toEqual(["route.vantage", 1, 2]);
  });

  it("is not judged where nobody asks, and not without a decision", async () => {
    const { bytes, trust } = await makeEvidence();
    const { obligations } = verifyBundle({ bundle: bytes, trust });
    expect(obligations.map(({ id }) => id)).not.toContain("route.mediation");
    const empty = await makeEvidence({ steps: LOADS, trust: { require: ["route.mediation"] } });
    expect(judged([testOf({ crm: "answered" })], empty)).toEqual(["decisions.none", 1, 2]);
  });
});
