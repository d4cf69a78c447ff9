/** P1.1: a contact update that carries an undeclared member with somebody's identifier, plainly, in an array, and in base64. */

import { describe, expect, it } from "vitest";
import { observedValue } from "../../kernel/receipt/observed.ts";
import type { Mode } from "../../kernel/receipt/vocabulary.ts";
import { PERMIT_ALL, type Scenario, startScenario } from "./rig.ts";
import { withScenarios } from "./with-scenarios.ts";

const open = withScenarios();
const CANARY = "219-09-9999";

const UPDATE = {
  name: "update_contact",
  inputSchema: {
    type: "object",
    properties: {
      id: { type: "string" },
      phones: { type: "array", items: { type: "string" } },
      address: { type: "object", properties: { city: { type: "string" } } },
    },
    required: ["id"],
  },
};

const DENY = `${PERMIT_ALL}
  @id("surplus") @reason("Only what the tool declares may be sent.")
  forbid (principal, action in Mcp::Action::"call_tool", resource)
  when { context.system.findings.contains("surplus.undeclared") || context.system.findings.contains("pii.us_ssn") };`;
const REDACT = `@id("all") @redact("surplus.*, pii.*") permit (principal, action in Mcp::Action::"call_tool", resource);`;

const start = async (rules: string, mode: Mode = "enforcing"): Promise<Scenario> =>
  open(startScenario({ rules, mode, servers: { crm: { tools: [UPDATE] } } }));

const PLAIN = { id: "7", address: { city: "Ulm", extra: { ssn: CANARY } } };
const WIDE = CANARY.replace(/[\d-]/gu, (character) => String.fromCodePoint(character.charCodeAt(0) + 0xfee0));
const IN_ARRAY = { id: "7", phones: ["0731 1", `ssn ${CANARY}`] };

describe("P1.1 over-sharing", () => {
  it.each([
    ["an undeclared nested member", PLAIN],
    ["a declared array", IN_ARRAY],
    ["a declared array in base64", { id: "7", phones: ["0731 1", Buffer.from(`ssn ${CANARY}`).toString("base64")] }],
    ["a declared member in other digits", { id: "7", address: { city: WIDE } }],
    ["an undeclared member in base64", { id: "7", note: Buffer.from(`ssn ${CANARY}`).toString("base64") }],
  ])("in %s is denied: U is 0, and the receipt has the rule and its place, not the value", async (_where, argument) => {
    const scenario = await start(DENY);
    const denied = await scenario.call("update_contact", argument);
    expect(denied.text).toContain("policy.forbid");
    expect(scenario.server("crm").count()).toBe(0);
    const [decision] = await scenario.decisions();
    const inspection = decision === undefined ? undefined : observedValue(decision.inspection);
    expect(inspection?.findings.length).toBeGreaterThan(0);
    expect(JSON.stringify(await scenario.receipts())).not.toContain(CANARY);
  });

  it("is taken out where the rule says so: U is 1, and the server's bytes lack it", async () => {
    const scenario = await start(REDACT);
    const answer = await scenario.call("update_contact", PLAIN);
    expect(answer.error).toBeUndefined();
    expect(scenario.server("crm").count()).toBe(1);
    expect(scenario.server("crm").bytes()).not.toContain(CANARY);
    expect(scenario.server("crm").bytes()).toContain("Ulm");
    const [decision] = await scenario.decisions();
    expect(decision?.redactions.state).toBe("present");
    expect(decision?.request_sent).not.toEqual(decision?.request_received);
    expect(decision?.ruling.obligations).toContainEqual({ policy: "all", kind: "redact", applied: true });
  });

  it.each([
    ["base64", Buffer.from(`ssn ${CANARY}`).toString("base64")],
    ["percent", encodeURIComponent(CANARY).replaceAll("9", "%39")],
    ["other digits", WIDE],
  ])("hidden in %s in a declared array is taken out as a whole", async (_how, hidden) => {
    const scenario = await start(REDACT);
    await scenario.call("update_contact", { id: "7", phones: ["0731 1", `see ${hidden}.`] });
    expect(scenario.server("crm").count()).toBe(1);
    expect(scenario.server("crm").bytes()).toContain('["0731 1","see [redacted:pii.us_ssn]."]');
  });

  it("in advisory mode goes through with the denial in the receipt", async () => {
    const scenario = await start(DENY, "advisory");
    await scenario.call("update_contact", PLAIN);
    expect(scenario.server("crm").count()).toBe(1);
    const [decision] = await scenario.decisions();
    expect(decision?.ruling).toMatchObject({ would_deny: true, policies: ["surplus"] });
  });
});
