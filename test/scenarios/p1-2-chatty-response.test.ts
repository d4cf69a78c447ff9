/** P1.2: a tool answers with members that it never declared, and with 200 rows where one was needed. */

import { describe, expect, it } from "vitest";
import type { JsonObject } from "../../kernel/json/value.ts";
import type { Mode } from "../../kernel/receipt/vocabulary.ts";
import { PERMIT_ALL, type Scenario, startScenario } from "./rig.ts";
import { withScenarios } from "./with-scenarios.ts";

const open = withScenarios();
const CANARY = "DE89370400440532013000";

/** What no rule recognises. */
const SECRET = "blue-heron-quilt";

const FIND = {
  name: "find",
  outputSchema: {
    type: "object",
    properties: { rows: { type: "array", items: { type: "object", properties: { name: { type: "string" } } } } },
  },
  answer: () => {
    const rows = Array.from({ length: 200 }, (_, i) => ({
      name: `customer ${i}`,
      iban: CANARY,
      salary: 70_000 + i,
      note: "x",
    }));
    return { structuredContent: { rows }, content: [{ type: "text", text: JSON.stringify({ rows }) }] };
  },
};

/** Whatever an answer has beside what its tool declares is taken out, and marks the session. */
const RULES = `${PERMIT_ALL}
  @id("trim") @redact("surplus.*, pii.*") @taint("customer") permit (principal, action in Mcp::Action::"respond", resource);
  @id("loose") forbid (principal, action == Mcp::Action::"web/post", resource)
  when { context.session.taint.contains("customer") };`;

const TRIM = `${PERMIT_ALL}
  @id("trim") @redact("surplus.*") permit (principal, action in Mcp::Action::"respond", resource);`;

const start = async (mode: Mode): Promise<Scenario> =>
  open(startScenario({ rules: RULES, mode, servers: { crm: { tools: [FIND] }, web: { tools: [{ name: "post" }] } } }));

/** What the operator declares that results of the tool need to have. */
const ONE_ROW = { data: { tools: { find: { results: { items: { "/rows": 1 }, bytes: 4_096 } } } } };

const startNeedy = async (rules: string, mode: Mode, config: JsonObject = ONE_ROW): Promise<Scenario> =>
  open(startScenario({ rules, mode, servers: { crm: { tools: [FIND], config }, web: { tools: [] } } }));

describe("P1.2 chatty response", () => {
  it("is reduced to what was declared; the next call to a looser place sees the raised label: U is 1 and 0", async () => {
    const scenario = await start("enforcing");
    const answer = await scenario.call("crm__find");
    expect(answer.text).toContain("customer 7");
    expect(answer.text).not.toContain(CANARY);
    expect(answer.text).not.toContain("salary");
    const [outcome] = await scenario.outcomes();
    expect(outcome).toMatchObject({ outcome: { status: "redacted" }, redactions: { state: "present" } });
    expect(outcome?.response_returned).not.toEqual(outcome?.response_received);
    await scenario.call("web__post", { text: "x" });
    expect([scenario.server("crm").count(), scenario.server("web").count()]).toEqual([1, 0]);
    expect(JSON.stringify(await scenario.receipts())).not.toContain(CANARY);
  });

  it.each<readonly [string, (rows: readonly JsonObject[]) => JsonObject]>([
    ["text alone, as JSON", (rows) => ({ content: [{ type: "text", text: JSON.stringify({ rows }) }] })],
    [
      "a text that says more than its structured content",
      (rows) => ({
        structuredContent: { rows: [{ name: "customer 7" }] },
        content: [{ type: "text", text: JSON.stringify({ rows, more: SECRET }, null, 2) }],
      }),
    ],
    [
      "words beside structured content",
      (rows) => ({ structuredContent: { rows }, content: [{ type: "text", text: `customer 7: ${SECRET}, 700007.` }] }),
    ],
    [
      "an embedded resource",
      (rows) => ({
        structuredContent: { rows },
        content: [{ type: "resource", resource: { uri: "a://b", text: JSON.stringify({ rows }) } }],
      }),
    ],
    [
      "a member beside its content",
      (rows) => ({ structuredContent: { rows }, content: [{ type: "text", text: "customer 7" }], debug: { rows } }),
    ],
  ])("in %s loses what was not declared: U is 1, and the bytes lack it", async (_where, answer) => {
    const rows = [{ name: "customer 7", memo: SECRET, salary: 700_007, more: { deep: [SECRET] } }];
    const scenario = await open(
      startScenario({ rules: TRIM, servers: { crm: { tools: [{ ...FIND, answer: () => answer(rows) }] } } }),
    );
    const { text } = await scenario.call("find");
    expect(text).toContain("customer 7");
    expect(text).not.toContain(SECRET);
    expect(text).not.toContain("700007");
    const [outcome] = await scenario.outcomes();
    expect(outcome).toMatchObject({ outcome: { status: "redacted" }, redactions: { state: "present" } });
    expect(JSON.stringify(outcome?.inspection)).toContain('"surplus.undeclared"');
  });

  it("in advisory mode passes whole, and the receipt has the findings", async () => {
    const scenario = await start("advisory");
    const answer = await scenario.call("crm__find");
    expect(answer.text).toContain(CANARY);
    const [outcome] = await scenario.outcomes();
    expect(JSON.stringify(outcome?.inspection)).toContain("surplus.undeclared");
  });

  it("is cut to the rows that are needed, in structured content and its copy; the receipt counts the others", async () => {
    const rules = `${PERMIT_ALL}
      @id("trim") @redact("surplus.*") permit (principal, action in Mcp::Action::"respond", resource);`;
    const scenario = await startNeedy(rules, "enforcing");
    const { result } = await scenario.call("crm__find");
    expect(result?.["structuredContent"]).toEqual({ rows: [{ name: "customer 0" }] });
    expect(result?.["content"]).toEqual([{ type: "text", text: '{"rows":[{"name":"customer 0"}]}' }]);
    const [outcome] = await scenario.outcomes();
    expect(outcome?.outcome.status).toBe("redacted");
    const row = { rule: "surplus.items", pointer: "/result/structuredContent/rows", count: 199 };
    expect(JSON.stringify(outcome?.inspection)).toContain('"surplus.bytes"');
    expect(outcome?.inspection).toMatchObject({
      value: { findings: expect.arrayContaining([expect.objectContaining(row)]) },
    });
    expect(outcome?.redactions).toMatchObject({
      value: { places: expect.arrayContaining([expect.objectContaining(row)]) },
    });
    expect(outcome?.respond).toMatchObject({
      value: { obligations: [{ kind: "redact", applied: true }] },
    });
  });

  it("is withheld where no policy says what goes: U is 1, and the agent gets nothing of it", async () => {
    for (const rules of [
      PERMIT_ALL,
      `${PERMIT_ALL} @id("rows") permit (principal, action in Mcp::Action::"respond", resource)
         when { context.system.items <= 1 };`,
    ]) {
      const scenario = await startNeedy(rules, "enforcing");
      const answer = await scenario.call("crm__find");
      expect(answer.text).not.toContain("customer");
      expect((await scenario.outcomes())[0]).toMatchObject({ outcome: { status: "blocked" } });
      expect(scenario.server("crm").count()).toBe(1);
    }
  });

  it("of too many bytes is withheld even where rows may be cut", async () => {
    const rules = `${PERMIT_ALL}
      @id("trim") @redact("surplus.*") permit (principal, action in Mcp::Action::"respond", resource);`;
    const scenario = await startNeedy(rules, "enforcing", {
      data: { results: { items: { "/rows": 150 }, bytes: 1_000 } },
    });
    expect((await scenario.call("crm__find")).text).not.toContain("customer");
    expect((await scenario.outcomes())[0]).toMatchObject({ outcome: { status: "blocked" } });
  });

  it("in advisory mode passes with all its rows, counted", async () => {
    const scenario = await startNeedy(PERMIT_ALL, "advisory");
    expect((await scenario.call("crm__find")).text).toContain("customer 199");
    expect(JSON.stringify((await scenario.outcomes())[0]?.inspection)).toContain('"surplus.items"');
  });
});
