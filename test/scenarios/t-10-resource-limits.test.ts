/** T10: the call beyond the limit, and a flood of denials. */

import { describe, expect, it } from "vitest";
import { observedValue } from "../../kernel/receipt/observed.ts";
import { PERMIT_ALL, startScenario } from "./rig.ts";
import { withScenarios } from "./with-scenarios.ts";

const open = withScenarios();

describe.each(["enforcing", "advisory"] as const)("T10 limits, %s", (mode) => {
  it("call N + 1 is refused with limit and counter named: U is N", async () => {
    const limits = { calls_per_minute: { principal: 3 } };
    const scenario = await open(
      startScenario({ mode, rules: PERMIT_ALL, config: { limits }, servers: { crm: { tools: [{ name: "find" }] } } }),
    );
    for (let i = 0; i < 3; i += 1) await scenario.call("find");
    const refused = await scenario.call("find");
    expect(refused.error).toMatchObject({
      code: -31_006,
      data: { limit: "calls-per-minute-principal", budget: 3, reason: "limit.per-principal" },
    });
    expect(refused.error?.data?.["retryAfterMs"]).toBeGreaterThan(0);
    expect(scenario.server("crm").count()).toBe(3);
    const last = (await scenario.decisions()).at(-1);
    expect(last && observedValue(last.accounting)).toMatchObject({ charge: "refused", budget: 3, remaining: 0 });
  });
});

describe("T10 floods", () => {
  it("300 denials are counted exactly, in receipts of their own and in counts, with no number missing", async () => {
    const limits = { calls_per_minute: { principal: 10_000, session: 10_000 } };
    const scenario = await open(
      startScenario({ rules: PERMIT_ALL, config: { limits }, servers: { crm: { tools: [{ name: "find" }] } } }),
    );
    await Promise.all(Array.from({ length: 300 }, () => scenario.request("tools/unknown", {})));
    const receipts = await scenario.finish();
    const single = receipts.filter(({ kind }) => kind === "decision").length;
    const counted = receipts.flatMap((receipt) => (receipt.kind === "refusals" ? [receipt.count] : []));
    expect(single + counted.reduce((sum, count) => sum + count, 0)).toBe(300);
    expect(receipts.map(({ seq }) => seq)).toEqual(receipts.map((_, i) => i));
  });

  it("200 calls at once: none is lost, none is refused for contention", async () => {
    const scenario = await open(startScenario({ rules: PERMIT_ALL, servers: { crm: { tools: [{ name: "find" }] } } }));
    const answers = await Promise.all(Array.from({ length: 200 }, () => scenario.call("find")));
    expect(answers.filter(({ error }) => error !== undefined)).toEqual([]);
    expect(scenario.server("crm").count()).toBe(200);
    expect((await scenario.outcomes()).length).toBe(200);
  });
});
