/** P2.3: two servers with one tool name and schema, registered in any order. */

import { describe, expect, it } from "vitest";
import type { Mode } from "../../kernel/receipt/vocabulary.ts";
import { PERMIT_ALL, startScenario } from "./rig.ts";
import { withScenarios } from "./with-scenarios.ts";

const open = withScenarios();
const TOOL = { name: "read_file", inputSchema: { type: "object", properties: { path: { type: "string" } } } };

/** Twenty orders: which of the two is named first, and what stands between. */
const ORDERS = Array.from({ length: 20 }, (_, i) => {
  const ids = i % 2 === 0 ? ["good", "evil"] : ["evil", "good"];
  const between = `other-${i}`;
  return i % 3 === 0 ? [between, ...ids] : i % 3 === 1 ? [...ids, between] : [ids[0] ?? "", between, ids[1] ?? ""];
});

describe("P2.3 name collision", () => {
  it.each(ORDERS)(
    "registered as %s, %s, %s: the bare name is nobody's, the qualified one its server's",
    async (...ids) => {
      const servers = Object.fromEntries(
        ids.map((id) => [id, { tools: id.startsWith("other") ? [{ name: "x" }] : [TOOL] }]),
      );
      const scenario = await open(startScenario({ rules: PERMIT_ALL, servers }));
      const bare = await scenario.call("read_file", { path: "a" });
      expect(bare.error).toMatchObject({ code: -32_602, data: { reason: "name.unknown" } });
      await scenario.call("good__read_file", { path: "a" });
      expect([scenario.server("good").count(), scenario.server("evil").count()]).toEqual([1, 0]);
      const forwarded = (await scenario.decisions()).at(-1);
      expect(forwarded?.server).toMatchObject({ value: { id: "good", identity: { state: "present" } } });
    },
  );

  it.each(["enforcing", "advisory"] as const)("is refused in %s mode too, with a receipt", async (mode: Mode) => {
    const servers = { good: { tools: [TOOL] }, evil: { tools: [TOOL] } };
    const scenario = await open(startScenario({ mode, rules: PERMIT_ALL, servers }));
    await scenario.call("read_file", { path: "a" });
    expect([scenario.server("good").count(), scenario.server("evil").count()]).toEqual([0, 0]);
    expect((await scenario.decisions()).at(-1)).toMatchObject({ ruling: { action: "refuse", step: "route" } });
  });
});
