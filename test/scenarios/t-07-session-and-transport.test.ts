/** T7: headers that disagree with the body, reused ids, and what leaves a receipt. */

import { describe, expect, it } from "vitest";
import { AGENT_TOKEN } from "../support/gateway-run.ts";
import { PERMIT_ALL, type Scenario, startScenario } from "./rig.ts";
import { withScenarios } from "./with-scenarios.ts";

const open = withScenarios();
const start = async (): Promise<Scenario> =>
  open(startScenario({ rules: PERMIT_ALL, servers: { crm: { tools: [{ name: "find" }, { name: "wipe" }] } } }));

const META = {
  "io.modelcontextprotocol/protocolVersion": "2026-07-28",
  "io.modelcontextprotocol/clientInfo": { name: "scenario", version: "1" },
  "io.modelcontextprotocol/clientCapabilities": {},
};

/** Posts a call of `find` with these headers and this JSON-RPC id. */
async function post({ url }: Scenario, headers: Record<string, string>, id: number | string = 1): Promise<Response> {
  return fetch(`${url}/mcp`, {
    method: "POST",
    headers: {
      authorization: `Bearer ${AGENT_TOKEN}`,
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
      "mcp-protocol-version": "2026-07-28",
      "mcp-method": "tools/call",
      "mcp-name": "find",
      ...headers,
    },
    body: JSON.stringify({
      jsonrpc: "2.0",
      id,
      method: "tools/call",
      params: { name: "find", arguments: {}, _meta: META },
    }),
  });
}

describe("T7 session and transport", () => {
  it.each([
    ["mcp-name", "wipe"],
    ["mcp-method", "tools/list"],
    ["mcp-protocol-version", "2025-11-25"],
  ])(
    "a header %s that says something else than the body is refused before policy: U is 0, with a receipt",
    async (name, value) => {
      const scenario = await start();
      const answer = await post(scenario, { [name]: value });
      expect(answer.status).toBe(400);
      expect(scenario.server("crm").count()).toBe(0);
      const [decision] = await scenario.decisions();
      expect(decision?.ruling).toMatchObject({ action: "refuse", reasons: ["http.header-mismatch"] });
    },
  );

  it('a JSON-RPC id that is used again is another call with receipts of its own, and 1 is not "1"', async () => {
    const scenario = await start();
    for (const id of [1, 1, "1", "1"]) expect((await post(scenario, {}, id)).status).toBe(200);
    expect(scenario.server("crm").count()).toBe(4);
    const [decisions, outcomes] = [await scenario.decisions(), await scenario.outcomes()];
    expect([decisions.length, outcomes.length]).toEqual([4, 4]);
    expect(new Set(decisions.map(({ call }) => call.id)).size).toBe(4);
  });

  it("a Host and an Origin of somebody else are refused", async () => {
    const scenario = await start();
    expect((await post(scenario, { origin: "https://evil.example" })).status).toBe(403);
    expect(scenario.server("crm").count()).toBe(0);
  });
});
