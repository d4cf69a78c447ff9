/** T6, the part of the gateway: a kill switch and a quarantine that an agent cannot tell, and that only an operator ends. */

import { describe, expect, it } from "vitest";
import { AGENT_TOKEN } from "../support/gateway-run.ts";
import { PERMIT_ALL, startScenario } from "./rig.ts";
import { withScenarios } from "./with-scenarios.ts";

const open = withScenarios();
const TARGET = "principal:local|example-agent";

describe.each(["enforcing", "advisory"] as const)("T6 kill switch, %s", (mode) => {
  it("refuses the next call until an operator lets it pass: U is 1, 1, 2; an agent's token moves nothing", async () => {
    const scenario = await open(
      startScenario({ mode, rules: PERMIT_ALL, servers: { crm: { tools: [{ name: "find" }] } } }),
    );
    await scenario.call("find");
    expect((await scenario.operate("PUT", "/kill-switch", { target: TARGET }, AGENT_TOKEN)).status).toBe(401);
    expect((await scenario.operate("PUT", "/kill-switch", { target: TARGET })).status).toBe(200);
    const stopped = await scenario.call("find");
    expect(stopped.error).toMatchObject({ code: -31_003, data: { reason: "kill-switch.active" } });
    expect(scenario.server("crm").count()).toBe(1);
    expect((await scenario.operate("DELETE", "/kill-switch", { target: TARGET })).status).toBe(200);
    await scenario.call("find");
    expect(scenario.server("crm").count()).toBe(2);
    const moves = (await scenario.receipts()).filter(({ kind }) => kind === "operator-action");
    expect(moves).toHaveLength(2);
  });
});

describe("T6 quarantine", () => {
  it("answers plausibly and sends nothing; each attempt has a receipt, and only an operator ends it", async () => {
    const scenario = await open(
      startScenario({ rules: PERMIT_ALL, config: { quarantine: {} }, servers: { crm: { tools: [{ name: "find" }] } } }),
    );
    await scenario.call("find");
    expect((await scenario.operate("PUT", "/quarantine", { target: TARGET })).status).toBe(200);
    const phantom = await scenario.call("find");
    expect(phantom.result).toBeDefined();
    expect(phantom.text).not.toMatch(/phantom|quarantine/iu);
    expect(scenario.server("crm").count()).toBe(1);
    const last = (await scenario.decisions()).at(-1);
    expect(last?.ruling.action).toBe("phantom");
    expect((await scenario.outcomes()).at(-1)).toMatchObject({ outcome: { status: "phantom", effect: "none" } });
    await scenario.operate("DELETE", "/quarantine", { target: TARGET });
    await scenario.call("find");
    expect(scenario.server("crm").count()).toBe(2);
  });
});
