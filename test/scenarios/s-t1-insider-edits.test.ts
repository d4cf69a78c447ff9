/** S-T1: an insider changes a policy file, or rows of the ledger's store. */

import { describe, expect, it } from "vitest";
import { PERMIT_ALL, type Scenario, startScenario } from "./rig.ts";
import { withScenarios } from "./with-scenarios.ts";

const open = withScenarios();

async function startAndCall(rules = PERMIT_ALL): Promise<Scenario> {
  const scenario = await open(startScenario({ rules, servers: { crm: { tools: [{ name: "find" }] } } }));
  await scenario.call("find");
  await scenario.call("find", { again: true });
  return scenario;
}

/** What the verifier says of honest evidence whose policy and catalog are pinned and not disclosed. */
const HONEST = { "policy.files": "policy.not-disclosed" };

describe("S-T1 insider edits", () => {
  it("nothing: everything passes but what was not disclosed", async () => {
    const scenario = await startAndCall();
    expect((await scenario.evidence()).words).toEqual(HONEST);
  });

  it("one byte of a policy file: the receipts carry another digest, and the pinned one fails", async () => {
    const [before, after] = [await startAndCall(), await startAndCall(`${PERMIT_ALL} `)];
    const pinned = (await before.decisions()).flatMap(({ policy }) =>
      policy.state === "present" ? [policy.value.digest] : [],
    );
    const { words, exit } = await after.evidence({ trust: { policies: [...new Set(pinned)] } });
    expect(words["policy.allowed"]).toBe("ERR_POLICY_UNPINNED");
    expect(exit).toBe(1);
  });

  it.each([
    ["deletes a row", (rows: readonly Uint8Array[]) => rows.filter((_, i) => i !== rows.length - 3)],
    ["reorders rows", (rows: readonly Uint8Array[]) => [...rows.slice(0, -2), ...rows.slice(-2).reverse()]],
    ["cuts the last row off", (rows: readonly Uint8Array[]) => rows.slice(0, -1)],
    ["writes a row twice", (rows: readonly Uint8Array[]) => [...rows, ...rows.slice(-1)]],
  ])("%s and signs the log anew: the stream is not whole", async (_what, entries) => {
    const scenario = await startAndCall();
    const { words, exit } = await scenario.evidence({ entries });
    expect(words["stream.continuity"]).toMatch(/^ERR_STREAM_/u);
    expect(exit).toBe(1);
  });

  it("edits a row and signs the log anew: the receipt's signature fails", async () => {
    const scenario = await startAndCall();
    const edit = (rows: readonly Uint8Array[]): readonly Uint8Array[] =>
      rows.map((bytes) =>
        Buffer.from(Buffer.from(bytes).toString().replace('"action":"forward"', '"action":"refuse"')),
      );
    const { exit } = await scenario.evidence({ entries: edit });
    expect(exit).toBe(1);
  });
});
