/** P2.4: a tool that is right for one workflow and a catastrophe in another. */

import { describe, expect, it } from "vitest";
import { workflowDigest } from "../../kernel/policy-artifact.ts";
import { observedValue } from "../../kernel/receipt/observed.ts";
import type { Mode } from "../../kernel/receipt/vocabulary.ts";
import { SUBMIT_TOKEN } from "../support/fake-ledger.ts";
import { AGENT_TOKEN, OPERATOR_TOKEN } from "../support/gateway-run.ts";
import { bundleFiles } from "../support/policy-request.ts";
import { PERMIT_ALL, type Scenario, startScenario } from "./rig.ts";
import { boundBy, sealBoth, sealedBody } from "./sealed.ts";
import { withScenarios } from "./with-scenarios.ts";

const open = withScenarios();
/** Nobody deletes outside of the workflow that cleans. */
const RULES = `${PERMIT_ALL}
  @id("cleaning") forbid (principal, action == Mcp::Action::"records/delete", resource)
  unless { context.system.workflow == "cleaning" };`;
const FILES = bundleFiles(RULES);
const READER = "r".repeat(40);
const CLEANER = "c".repeat(40);
const WORKFLOWS = [
  { id: "cleaning", tools: ["records/delete"], resources: [] },
  { id: "reading", tools: ["records/read"], resources: [] },
] as const;

/** One agent with three tokens: one of no workflow, one of a workflow that reads, one of a workflow that deletes. */
const start = async (mode: Mode): Promise<Scenario> =>
  open(
    startScenario({
      mode,
      rules: RULES,
      pinned: ["records"],
      servers: { records: { tools: [{ name: "read" }, { name: "delete" }] } },
      bench: (servers, catalog) => {
        const bound = boundBy(sealBoth(sealedBody(servers, catalog, FILES, { mode, workflows: WORKFLOWS })), FILES);
        const agent = { principal: "example-agent" };
        const agentTokens = [
          { ...agent, token: AGENT_TOKEN },
          { ...agent, token: READER, workflow: "reading" },
          { ...agent, token: CLEANER, workflow: "cleaning" },
        ];
        const secrets = {
          submitToken: SUBMIT_TOKEN,
          operatorToken: OPERATOR_TOKEN,
          agentTokens,
          bearerTokens: new Map<string, string>(),
        };
        return { ...bound, options: { ...bound.options, secrets } };
      },
    }),
  );

describe("P2.4 coarse scope", () => {
  it("a deletion in the workflow that reads is denied, in the one whose sealed scope has it it goes out: U is 0, then 1", async () => {
    const scenario = await start("enforcing");
    const denied = await scenario.call("delete", { id: 1 }, { token: READER });
    expect(denied.text).toContain("workflow.scope");
    expect(scenario.server("records").count("delete")).toBe(0);
    await scenario.call("read", { id: 1 }, { token: READER });
    await scenario.call("delete", { id: 1 }, { token: CLEANER });
    expect([scenario.server("records").count("read"), scenario.server("records").count("delete")]).toEqual([1, 1]);
    const decisions = await scenario.decisions();
    expect(decisions.map(({ workflow }) => observedValue(workflow))).toEqual(
      ["reading", "reading", "cleaning"].map((id) => {
        const scope = WORKFLOWS.find((one) => one.id === id);
        return { id, provenance: "workflow-token", scope: scope && workflowDigest(scope) };
      }),
    );
    expect(decisions.map(({ ruling }) => ruling.action)).toEqual(["refuse", "forward", "forward"]);
    expect((await scenario.evidence()).words).toEqual({ "policy.files": "policy.not-disclosed" });
  });

  it("a workflow that the agent names in _meta widens nothing: U is 0, and the receipt says that it was ignored", async () => {
    const scenario = await start("enforcing");
    for (const token of [AGENT_TOKEN, READER]) {
      await scenario.call("delete", {}, { token, meta: { "com.example/workflowId": "cleaning" } });
    }
    expect(scenario.server("records").count()).toBe(0);
    const decisions = await scenario.decisions();
    expect(decisions.map(({ workflow }) => workflow)).toMatchObject([
      { state: "not_established", reason: "workflow.claim-ignored" },
      { state: "present", value: { id: "reading" } },
    ]);
    expect(decisions.map(({ ruling }) => ruling.action)).toEqual(["refuse", "refuse"]);
  });

  it("in advisory mode it goes through, and the receipt holds the denial", async () => {
    const scenario = await start("advisory");
    await scenario.call("delete", {}, { token: READER });
    expect(scenario.server("records").count()).toBe(1);
    const [decision] = await scenario.decisions();
    expect(decision?.ruling).toMatchObject({ would_deny: true, judgement: "deny" });
    expect(decision?.ruling.reasons).toContain("workflow.scope");
  });
});
