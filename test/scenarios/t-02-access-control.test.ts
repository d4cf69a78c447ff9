/** T2: what no policy permits, what one forbids, what errs, and what a person has to approve. */

import { describe, expect, it } from "vitest";
import { isJsonObject } from "../../kernel/json/value.ts";
import { observedValue } from "../../kernel/receipt/observed.ts";
import { AGENT_TOKEN } from "../support/gateway-run.ts";
import { PERMIT_ALL, type Scenario, startScenario } from "./rig.ts";
import { withScenarios } from "./with-scenarios.ts";

const open = withScenarios();
const NESTED = {
  name: "pay",
  inputSchema: {
    type: "object",
    properties: {
      to: { type: "string" },
      amount: { type: "integer" },
      order: { type: "object", properties: { to: { type: "string" } } },
      all: { type: "array", items: { type: "string" } },
    },
  },
};
const start = async (rules: string): Promise<Scenario> =>
  open(startScenario({ rules, servers: { bank: { tools: [NESTED, { name: "close_account" }] } } }));

describe("T2 access control", () => {
  it("no permit and a forbid are denials in the log: U is 0", async () => {
    const scenario = await start(`@id("none") permit (principal, action == Mcp::Action::"bank/pay", resource);
      @id("never") forbid (principal, action == Mcp::Action::"bank/pay", resource) when { context.input has to };`);
    await scenario.call("close_account");
    await scenario.call("pay", { to: "x" });
    expect(scenario.server("bank").count()).toBe(0);
    expect((await scenario.decisions()).map(({ ruling }) => ruling.reasons[0])).toEqual([
      "policy.default-deny",
      "policy.forbid",
    ]);
  });

  it("the same value nested in an object or in an array is denied too", async () => {
    const scenario = await start(`${PERMIT_ALL}
      @id("flat") forbid (principal, action == Mcp::Action::"bank/pay", resource)
      when { context.input has to && context.input.to == "evil" };
      @id("nested") forbid (principal, action == Mcp::Action::"bank/pay", resource)
      when { context.input has order && context.input.order has to && context.input.order.to == "evil" };
      @id("listed") forbid (principal, action == Mcp::Action::"bank/pay", resource)
      when { context.input has all && context.input.all.contains("evil") };`);
    for (const argument of [{ to: "evil" }, { order: { to: "evil" } }, { all: ["good", "evil"] }]) {
      await scenario.call("pay", argument);
    }
    expect(scenario.server("bank").count()).toBe(0);
    expect((await scenario.decisions()).map(({ ruling }) => ruling.policies)).toEqual([
      ["flat"],
      ["nested"],
      ["listed"],
    ]);
  });

  it("a policy that errs denies, though another one permits: U is 0, and the receipt names it", async () => {
    const scenario = await start(`${PERMIT_ALL}
      @id("errs") forbid (principal, action == Mcp::Action::"bank/pay", resource)
      when { context.input has amount && context.input.amount + 9223372036854775807 > 0 };`);
    await scenario.call("pay", { amount: 1 });
    expect(scenario.server("bank").count()).toBe(0);
    expect((await scenario.decisions())[0]?.ruling).toMatchObject({
      action: "refuse",
      reasons: ["policy.error"],
      erring: ["errs"],
    });
    await scenario.call("pay", { to: "x" });
    expect(scenario.server("bank").count()).toBe(1);
  });

  it("one byte of the policy gives another digest in the next receipt", async () => {
    const [one, other] = [await start(PERMIT_ALL), await start(`${PERMIT_ALL} `)];
    await one.call("close_account");
    await other.call("close_account");
    const digests = await Promise.all(
      [one, other].map(async (scenario) =>
        (await scenario.decisions()).map(({ policy }) => observedValue(policy)?.digest),
      ),
    );
    expect(digests[0]).not.toEqual(digests[1]);
  });

  it("a held call is not sent until a person grants it, then once, and other arguments are another call", async () => {
    const scenario = await start(`${PERMIT_ALL}
      @id("hold") @decision("require-approval") @approvers("local-user")
      forbid (principal, action == Mcp::Action::"bank/close_account", resource);`);
    const held = await scenario.call("close_account", { account: "1" });
    const id = String(held.error?.data?.["approvalId"]);
    expect(held.error).toMatchObject({ code: -31_002 });
    expect(scenario.server("bank").count()).toBe(0);
    expect((await scenario.operate("POST", `/approvals/${id}/grant`, {}, AGENT_TOKEN)).status).toBe(401);
    const granted = await scenario.operate("POST", `/approvals/${id}/grant`, {});
    expect(granted.status, JSON.stringify(granted.body)).toBe(200);
    await scenario.call("close_account", { account: "1" });
    expect(scenario.server("bank").count()).toBe(1);
    const again = await scenario.call("close_account", { account: "1" });
    expect(again.error).toMatchObject({ data: { reason: "approval.required" } });
    expect(scenario.server("bank").count()).toBe(1);
    const used = (await scenario.decisions()).find(({ ruling }) => ruling.action === "forward");
    expect(used?.approval).toMatchObject({
      value: { evidence: "local-user", binding: expect.stringMatching(/^[0-9a-f]{64}$/u) },
    });
    expect(isJsonObject(granted.body)).toBe(true);
  });
});
