/** P1.5: a sensitive reading, then an unrelated call of a public tool in the same session. */

import { describe, expect, it } from "vitest";
import { observedValue } from "../../kernel/receipt/observed.ts";
import type { Mode } from "../../kernel/receipt/vocabulary.ts";
import { AGENT_TOKEN } from "../support/gateway-run.ts";
import { PERMIT_ALL, type Scenario, startScenario } from "./rig.ts";
import { withScenarios } from "./with-scenarios.ts";

const open = withScenarios();
const RESET = { issuer: "local", name: "example-agent" };

const start = async (mode: Mode): Promise<Scenario> =>
  open(
    startScenario({
      mode,
      rules: `${PERMIT_ALL}
        @id("bleed") forbid (principal, action == Mcp::Action::"web/post", resource)
        when { context.session.taint.contains("phi") };`,
      servers: {
        ehr: { tools: [{ name: "read" }], config: { data: { labels: ["phi"] } } },
        web: { tools: [{ name: "post" }] },
      },
    }),
  );

describe("P1.5 session bleed", () => {
  it("is denied until an operator resets; an agent cannot reset, nor begin anew: U is 1 and 0, then 1", async () => {
    const scenario = await start("enforcing");
    await scenario.call("ehr__read");
    await scenario.call("web__post", { text: "unrelated" });
    await scenario.call("web__post", { text: "unrelated" }, { conversation: "another" });
    expect([scenario.server("ehr").count(), scenario.server("web").count()]).toEqual([1, 0]);
    expect((await scenario.operate("POST", "/labels/reset", RESET, AGENT_TOKEN)).status).toBe(401);
    await scenario.call("web__post", { text: "unrelated" });
    expect(scenario.server("web").count()).toBe(0);
    expect(await scenario.operate("POST", "/labels/reset", RESET)).toMatchObject({ status: 200, body: { labels: 1 } });
    await scenario.call("web__post", { text: "unrelated" });
    expect(scenario.server("web").count()).toBe(1);
    const receipts = await scenario.receipts();
    expect(receipts.filter(({ kind }) => kind === "session-seal")).toMatchObject([
      { reason: "operator" },
      { reason: "operator" },
    ]);
    expect(receipts.filter(({ kind }) => kind === "session-open").at(-1)).toMatchObject({ taint: { value: [] } });
  });

  it("leaves the label before and after, and the receipt that brought it", async () => {
    const scenario = await start("enforcing");
    await scenario.call("ehr__read");
    await scenario.call("web__post", { text: "unrelated" });
    const [outcome] = await scenario.outcomes();
    const denied = (await scenario.decisions()).at(-1);
    expect(outcome && observedValue(outcome.taint)).toMatchObject({ before: [], after: ["phi"] });
    expect(denied && observedValue(denied.taint)).toMatchObject({
      before: ["phi"],
      sources: [{ label: "phi", seq: outcome?.seq }],
    });
  });

  it("in advisory mode goes through, and the receipt holds the denial", async () => {
    const scenario = await start("advisory");
    await scenario.call("ehr__read");
    await scenario.call("web__post", { text: "unrelated" });
    expect(scenario.server("web").count()).toBe(1);
    expect((await scenario.decisions()).at(-1)).toMatchObject({ ruling: { would_deny: true, policies: ["bleed"] } });
  });
});
