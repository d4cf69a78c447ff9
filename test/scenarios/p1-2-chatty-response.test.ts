/** P1.2: a tool answers with members that it never declared. */

import { describe, expect, it } from "vitest";
import type { Mode } from "../../kernel/receipt/vocabulary.ts";
import { PERMIT_ALL, type Scenario, startScenario } from "./rig.ts";
import { withScenarios } from "./with-scenarios.ts";

const open = withScenarios();
const CANARY = "DE89370400440532013000";

const FIND = {
  name: "find",
  outputSchema: {
    type: "object",
    properties: { rows: { type: "array", items: { type: "object", properties: { name: { type: "string" } } } } },
  },
  answer: () => {
    const rows = Array.from({ length: 200 }, (_, i) => ({
      name: `customer ${i}`,
      iban: CANARY,
      salary: 70_000 + i,
      note: "x",
    }));
    return { structuredContent: { rows }, content: [{ type: "text", text: JSON.stringify({ rows }) }] };
  },
};

/** Whatever an answer has beside what its tool declares is taken out, and marks the session. */
const RULES = `${PERMIT_ALL}
  @id("trim") @redact("surplus.*, pii.*") @taint("customer") permit (principal, action in Mcp::Action::"respond", resource);
  @id("loose") forbid (principal, action == Mcp::Action::"web/post", resource)
  when { context.session.taint.contains("customer") };`;

const start = async (mode: Mode): Promise<Scenario> =>
  open(startScenario({ rules: RULES, mode, servers: { crm: { tools: [FIND] }, web: { tools: [{ name: "post" }] } } }));

describe("P1.2 chatty response", () => {
  it("is reduced to what was declared; the next call to a looser place sees the raised label: U is 1 and 0", async () => {
    const scenario = await start("enforcing");
    const answer = await scenario.call("crm__find");
    expect(answer.text).toContain("customer 7");
    expect(answer.text).not.toContain(CANARY);
    expect(answer.text).not.toContain("salary");
    const [outcome] = await scenario.outcomes();
    expect(outcome).toMatchObject({ outcome: { status: "redacted" }, redactions: { state: "present" } });
    expect(outcome?.response_returned).not.toEqual(outcome?.response_received);
    await scenario.call("web__post", { text: "x" });
    expect([scenario.server("crm").count(), scenario.server("web").count()]).toEqual([1, 0]);
    expect(JSON.stringify(await scenario.receipts())).not.toContain(CANARY);
  });

  it("in advisory mode passes whole, and the receipt has the findings", async () => {
    const scenario = await start("advisory");
    const answer = await scenario.call("crm__find");
    expect(answer.text).toContain(CANARY);
    const [outcome] = await scenario.outcomes();
    expect(JSON.stringify(outcome?.inspection)).toContain("surplus.undeclared");
  });
});
