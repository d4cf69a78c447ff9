/** P1.3: a clinical reading, then an upload to advertising, each allowed alone. */

import { describe, expect, it } from "vitest";
import { observedValue } from "../../kernel/receipt/observed.ts";
import type { Mode } from "../../kernel/receipt/vocabulary.ts";
import { textResult } from "./hostile-server.ts";
import { PERMIT_ALL, type Scenario, startScenario } from "./rig.ts";
import { withScenarios } from "./with-scenarios.ts";

const open = withScenarios();

/** Domain words of every form that the catalog's schema admits. */
const DOMAINS = [
  ["clinical", "advertising"],
  ["a", "b"],
  ["0", "9-9"],
  ["x".repeat(29), "y".repeat(29)],
] as const;

async function start(mode: Mode, from = "clinical", to = "advertising"): Promise<Scenario> {
  const rules = `${PERMIT_ALL}
    @id("boundary") forbid (principal, action in Mcp::Action::"call_tool", resource)
    when { context.system.domain == "${to}" && context.session.domains.contains("${from}") };`;
  const read = { name: "read", answer: () => textResult("Diagnosis 4711-0815-xyz of Erika Beispiel") };
  return open(
    startScenario({
      mode,
      rules,
      servers: {
        ehr: { tools: [read], config: { data: { domain: from } } },
        ads: { tools: [{ name: "upload" }], config: { data: { domain: to } } },
      },
    }),
  );
}

describe("P1.3 boundary crossing", () => {
  it.each(DOMAINS)("the second call is denied (%s to %s): U is 1 and 0", async (from, to) => {
    const scenario = await start("enforcing", from, to);
    await scenario.call("ehr__read");
    const denied = await scenario.call("ads__upload", { text: "see 4711-0815-xyz" });
    expect(denied.text).toContain("policy.forbid");
    expect([scenario.server("ehr").count(), scenario.server("ads").count()]).toEqual([1, 0]);
    const [given] = await scenario.outcomes();
    const decision = (await scenario.decisions()).at(-1);
    const source = given?.seq;
    expect(decision && observedValue(decision.edges)).toEqual([
      { source, kind: "match", from, to },
      { source, kind: "order", from, to },
    ]);
  });

  it("has no domain word that the catalog admits and the rule does not know: longer ones are refused at start", async () => {
    await expect(start("enforcing", "x".repeat(30))).rejects.toMatchObject({ code: "ERR_SHAPE" });
  });

  it("each is allowed alone and in the other order: U is 1 and 1", async () => {
    const scenario = await start("enforcing");
    await scenario.call("ads__upload", { text: "x" });
    await scenario.call("ehr__read");
    expect([scenario.server("ehr").count(), scenario.server("ads").count()]).toEqual([1, 1]);
  });

  it("in advisory mode it goes through, and the receipt holds what enforcing would have decided", async () => {
    const scenario = await start("advisory");
    await scenario.call("ehr__read");
    await scenario.call("ads__upload", { text: "x" });
    expect(scenario.server("ads").count()).toBe(1);
    expect((await scenario.decisions()).at(-1)).toMatchObject({
      ruling: { mode: "advisory", action: "forward", judgement: "deny", would_deny: true, policies: ["boundary"] },
    });
  });
});
