/** P2.2: a server that is configured, listed or called, and not in the approved catalog. */

import { describe, expect, it } from "vitest";
import { PERMIT_ALL, type Scenario, startScenario } from "./rig.ts";
import { withScenarios } from "./with-scenarios.ts";

const open = withScenarios();

const start = async (mode: "enforcing" | "advisory"): Promise<Scenario> =>
  open(
    startScenario({
      mode,
      rules: PERMIT_ALL,
      pinned: ["known", "other"],
      servers: {
        known: { tools: [{ name: "find" }] },
        other: { tools: [{ name: "x" }] },
        stranger: { tools: [{ name: "find" }, { name: "help" }] },
      },
    }),
  );

describe.each(["enforcing", "advisory"] as const)("P2.2 drive-by server, %s", (mode) => {
  it("is neither offered nor called, under any name, and every attempt has a receipt: U is 0", async () => {
    const scenario = await start(mode);
    const { result } = await scenario.request("tools/list", {});
    expect(JSON.stringify(result)).not.toContain("help");
    for (const name of ["stranger__help", "help", "stranger__find"]) {
      const { error } = await scenario.call(name);
      expect(error?.code, name).toBe(-32_602);
    }
    expect(scenario.server("stranger").count()).toBe(0);
    expect((await scenario.decisions()).map(({ ruling }) => ruling.action)).toEqual(["refuse", "refuse", "refuse"]);
    await scenario.call("known__find");
    expect(scenario.server("known").count()).toBe(1);
  });
});

describe("P2.2, the catalog", () => {
  it("changes by an approval alone: its digest and who approved it are a receipt", async () => {
    const scenario = await start("enforcing");
    const loads = (await scenario.receipts()).filter(({ kind }) => kind === "catalog-load");
    const [decision] = await scenario.call("known__find").then(() => scenario.decisions());
    expect(loads).toHaveLength(1);
    expect(loads[0]).toMatchObject({ result: "loaded", servers: [{ id: "known" }, { id: "other" }] });
    expect(decision?.catalog).toMatchObject({ value: { digest: expect.stringMatching(/^sha256:/u) } });
  });

  it("says nothing of traffic around the gateway: that is excluded by name, and never counted as closed", async () => {
    const scenario = await start("enforcing");
    const { body } = await scenario.operate("GET", "/boundary");
    expect(JSON.stringify(body)).toContain('"around-the-gateway"');
  });
});
