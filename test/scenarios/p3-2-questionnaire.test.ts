/** P3.2: every call of a quarter that touched one customer's data: a list with proofs, and whether it is complete. */

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { subjectReportCommand } from "../../cli/commands/subject-report.ts";
import { formatUtf8 } from "../../kernel/bytes.ts";
import type { JsonObject } from "../../kernel/json/value.ts";
import { observedValue } from "../../kernel/receipt/observed.ts";
import { type SubjectReport, subjectReport } from "../../verifier/subject-report.ts";
import { runInProcess } from "../support/command-io.ts";
import type { EvidenceChange } from "./judged-stream.ts";
import { PERMIT_ALL, type Scenario, startScenario } from "./rig.ts";
import { withScenarios } from "./with-scenarios.ts";

const open = withScenarios();
const [ERIKA, MAX] = ["erika@example.com", "max@example.com"];
const RULES = `${PERMIT_ALL}
  @id("no-deletes") forbid (principal, action == Mcp::Action::"crm/delete", resource);`;

/** Three calls about Erika, of which one is denied, and two about Max; with Erika's keyed hash. */
async function startAndCall(): Promise<{ readonly scenario: Scenario; readonly erika: string }> {
  const data = { subjects: ["/customer"] };
  const tools = [{ name: "find" }, { name: "update" }, { name: "delete" }];
  const scenario = await open(
    startScenario({
      rules: RULES,
      config: { vault: { keep_payloads: true } },
      servers: { crm: { tools, config: { data } } },
    }),
  );
  await scenario.call("find", { customer: ERIKA });
  await scenario.call("find", { customer: MAX });
  await scenario.call("update", { customer: ERIKA, phone: "0815" });
  await scenario.call("update", { customer: MAX });
  await scenario.call("delete", { customer: ERIKA });
  expect(scenario.server("crm").count()).toBe(4);
  const [first] = await scenario.decisions();
  const erika = (first && observedValue(first.data_subjects))?.[0] ?? "";
  return { scenario, erika };
}

async function report(scenario: Scenario, subject: string, change: EvidenceChange = {}): Promise<SubjectReport> {
  const { evidence } = await scenario.evidence({ isDisclosed: true, ...change });
  return subjectReport({ bundle: evidence.bytes, trust: evidence.trust }, subject);
}

describe("P3.2 a customer's questionnaire", () => {
  it("gets every call with tool, decision and policy, counts, and a verdict that the list is complete", async () => {
    const { scenario, erika } = await startAndCall();
    const made = await report(scenario, erika);
    expect(
      made.calls.map(({ server, name, action, policies, status }) => [server, name, action, policies, status]),
    ).toEqual([
      ["crm", "find", "forward", ["all"], "ok"],
      ["crm", "update", "forward", ["all"], "ok"],
      ["crm", "delete", "refuse", ["no-deletes"], null],
    ]);
    expect(new Set(made.calls.map(({ policy }) => policy)).size).toBe(1);
    expect(made).toMatchObject({
      totals: { calls: 3, sent: 2, refused: 1, unstated: 0 },
      complete: { verdict: "pass" },
      verified: true,
    });
  });

  it("gets the fields of these calls opened, each against its receipt", async () => {
    const { scenario, erika } = await startAndCall();
    const decisions = await scenario.decisions();
    const own = decisions.filter(({ data_subjects: subjects, outcome }) => {
      return outcome.state === "pending" && observedValue(subjects)?.includes(erika) === true;
    });
    const { body } = await scenario.operate("POST", "/vault/disclose", {
      receipts: own.map(({ seq }) => `${scenario.stream}/${seq}`),
      members: ["request_sent"],
      fields: ["/params/arguments"],
    });
    const disclosure = formatUtf8(String((body as JsonObject)["text"]));
    const { result } = await scenario.evidence({ disclosure });
    expect(result.openings?.map(({ verdict, value }) => [verdict, value])).toEqual([
      ["pass", `"${ERIKA}"`],
      ["pass", `"${ERIKA}"`],
      ["pass", '"0815"'],
    ]);
    expect(JSON.stringify(result.openings)).not.toContain(MAX);
  });

  it("is told of a receipt that was withheld: the gap is named", async () => {
    const { scenario, erika } = await startAndCall();
    const hidden = (await scenario.decisions()).at(-1)?.seq ?? 0;
    const made = await report(scenario, erika, { entries: (rows) => rows.filter((_, i) => i !== hidden + 1) });
    expect(made.totals.calls).toBe(2);
    expect(made).toMatchObject({ complete: { verdict: "fail", code: "ERR_STREAM_GAP" }, verified: false });
  });

  it("is told of a gateway of the scope that is not there: completeness is not established", async () => {
    const { scenario, erika } = await startAndCall();
    const offline = "ab".repeat(32);
    const gateways = [{ stream: scenario.stream }, { stream: offline }];
    const made = await report(scenario, erika, { trust: { gateways } });
    expect(made.complete).toMatchObject({ verdict: "not_established", reason: "window.none", subject: offline });
  });

  it("is answered by the command, from the value for whoever has the gateway's key", async () => {
    const { scenario, erika } = await startAndCall();
    const { evidence } = await scenario.evidence();
    const [bundle, trust] = ["bundle.json", "trust.json"].map((name) => join(scenario.folder, name));
    if (bundle === undefined || trust === undefined) throw new Error("no paths");
    writeFileSync(bundle, evidence.bytes);
    writeFileSync(trust, JSON.stringify(evidence.trustJson));
    const ask = (...args: readonly string[]): ReturnType<typeof runInProcess> =>
      runInProcess(subjectReportCommand, [bundle, "--trust", trust, ...args]);
    const [byValue, byHash] = [await ask("--value", ERIKA, "--data", scenario.folder), await ask("--subject", erika)];
    expect([byValue.exit, byHash.exit]).toEqual([0, 0]);
    expect(byValue.out).toBe(byHash.out);
    expect(JSON.parse(byHash.out)).toMatchObject({ kind: "subject-report", totals: { calls: 3 } });
    expect(byHash.out).not.toContain(ERIKA);
    expect((await ask("--subject", erika, "--value", ERIKA)).exit ?? 3).toBe(3);
    expect(JSON.parse((await ask("--subject", "cd".repeat(32))).out)).toMatchObject({ totals: { calls: 0 } });
  });
});
