/** P4.1: a package that looks like a known one: not in the catalog, and approved by mistake. */

import { describe, expect, it } from "vitest";
import { renderFindings } from "../../cli/catalog/findings.ts";
import { makePaint } from "../../cli/paint.ts";
import { parseCatalog } from "../../gateway/catalog/catalog-file.ts";
import { scanDefinitions } from "../../gateway/inspection/scan-definitions.ts";
import { observedValue } from "../../kernel/receipt/observed.ts";
import type { Mode } from "../../kernel/receipt/vocabulary.ts";
import { textResult } from "./hostile-server.ts";
import { PERMIT_ALL, type Scenario, startScenario } from "./rig.ts";
import { withScenarios } from "./with-scenarios.ts";

const open = withScenarios();
const CUSTOMER = { customer: "Erika Beispiel" };
const TOOLS = [{ name: "search", answer: () => textResult("nothing found") }];

/** `postgrse` beside the real one; `approved` says which of them somebody has approved. */
const start = async (mode: Mode, ...approved: readonly string[]): Promise<Scenario> =>
  open(
    startScenario({
      mode,
      rules: PERMIT_ALL,
      pinned: approved,
      servers: { postgres: { tools: TOOLS }, postgrse: { tools: TOOLS } },
    }),
  );

describe("P4.1 typosquat", () => {
  it.each(["enforcing", "advisory"] as const)("that nobody approved is not called in %s mode: U is 0", async (mode) => {
    const scenario = await start(mode, "postgres");
    const answer = await scenario.call("postgrse__search", CUSTOMER);
    expect(answer.error?.code).toBe(-32_602);
    expect(scenario.server("postgrse").count()).toBe(0);
    const [decision] = await scenario.decisions();
    expect(decision?.ruling).toMatchObject({ action: "refuse", step: "route" });
  });

  it("is a finding at approval that names what it looks like, and blocks the signature", async () => {
    const scenario = await start("enforcing", "postgres", "postgrse");
    const { body } = await scenario.operate("GET", "/catalog");
    const file = parseCatalog((body as { readonly file: Parameters<typeof parseCatalog>[0] }).file);
    const findings = scanDefinitions(file.servers);
    expect(findings).toContainEqual(
      expect.objectContaining({ server: "postgrse", rule: "name.look-alike", severity: "block" }),
    );
    expect(renderFindings(file, makePaint(false))).toContain("postgres");
  });

  it.each(["enforcing", "advisory"] as const)(
    "that was approved by mistake is called in %s mode, and who publishes it is not established: U is 1",
    async (mode) => {
      const scenario = await start(mode, "postgres", "postgrse");
      await scenario.call("postgrse__search", CUSTOMER);
      expect(scenario.server("postgrse").count()).toBe(1);
      const [decision] = await scenario.decisions();
      expect(decision && observedValue(decision.server)).toMatchObject({
        id: "postgrse",
        provenance: "unchecked",
        egress: { state: "not_established", reason: "attestation.no-device" },
      });
      const { hardware } = await scenario.evidence({ trust: { modes: [mode] } });
      expect(hardware).toBe("attestation.software");
    },
  );
});
