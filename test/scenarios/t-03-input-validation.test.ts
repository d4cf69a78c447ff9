/** T3: arguments that the pinned schema does not admit, probes, and schemas that would never end. */

import { readdirSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { JsonObject } from "../../kernel/json/value.ts";
import { observedValue } from "../../kernel/receipt/observed.ts";
import type { Mode } from "../../kernel/receipt/vocabulary.ts";
import type { HostileTool } from "./hostile-server.ts";
import { PERMIT_ALL, type Scenario, startScenario } from "./rig.ts";
import { withScenarios } from "./with-scenarios.ts";

const open = withScenarios();
const CANARY = "canary-7f3a9c-0815";

const READ: HostileTool = {
  name: "read",
  inputSchema: {
    type: "object",
    properties: {
      path: { type: "string", pattern: "^docs/[A-Za-z0-9_-]{1,64}$" },
      url: { type: "string", pattern: "^https://docs\\.example/" },
      depth: { type: "integer", minimum: 0, maximum: 3 },
    },
    required: ["path"],
    additionalProperties: false,
  },
};

const start = async (mode: Mode, tools: readonly HostileTool[] = [READ]): Promise<Scenario> =>
  open(startScenario({ mode, rules: PERMIT_ALL, servers: { files: { tools } } }));

/** What a client that is careless, or bad, sends. */
const BAD: readonly (readonly [string, JsonObject])[] = [
  ["without what is required", {}],
  ["of another type", { path: 7 }],
  ["beyond a bound", { path: "docs/a", depth: 4 }],
  ["with a member that nobody declared", { path: "docs/a", [CANARY]: CANARY }],
  ["that climb", { path: "docs/../../etc/passwd" }],
  ["that climb in percent", { path: "docs/%2e%2e/%2e%2e/etc/passwd" }],
  ["that begin at the root", { path: "/etc/passwd" }],
  ["with a NUL", { path: "docs/a\u0000.txt" }],
  ["of another scheme", { path: "docs/a", url: "file:///etc/passwd" }],
  ["of a host that only begins alike", { path: "docs/a", url: "https://docs.example.evil.example/" }],
  ["with a canary", { path: CANARY }],
];

/** Every file below a folder, as text. */
function textsBelow(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), "latin1"));
}

describe("T3 input validation", () => {
  it.each(BAD)("arguments %s are denied with the digest of the schema: U is 0", async (_what, argument) => {
    const scenario = await start("enforcing");
    const answer = await scenario.call("read", argument);
    expect(answer.text).toMatch(/args\.schema|policy\.request-unmappable/u);
    expect(scenario.server("files").count()).toBe(0);
    const [decision] = await scenario.decisions();
    expect(decision?.ruling).toMatchObject({ action: "refuse", judgement: "deny" });
    const schema = decision && observedValue(decision.definition)?.input_schema;
    expect(schema && observedValue(schema)).toMatch(/^sha256:[0-9a-f]{64}$/u);
  });

  it("what fits goes out: U is 1; and nothing of any argument is in a store, a metric or a log line", async () => {
    const scenario = await start("enforcing");
    await scenario.call("read", { path: `docs/${CANARY}`, url: `https://docs.example/${CANARY}` });
    await scenario.call("read", { path: CANARY });
    expect(scenario.server("files").count()).toBe(1);
    expect(scenario.server("files").bytes()).toContain(CANARY);
    const metrics = await (await fetch(`${scenario.operatorUrl}/metrics`)).text();
    const receipts = JSON.stringify(await scenario.finish());
    for (const text of [receipts, metrics, scenario.log.join("\n"), ...textsBelow(scenario.folder)]) {
      expect(text.includes(CANARY)).toBe(false);
    }
  });

  it.each<readonly [string, JsonObject]>([
    ["with a pattern that backtracks for ever", { properties: { text: { type: "string", pattern: "^(a+)+$" } } }],
    [
      "that refers to itself without end",
      { $ref: "#/$defs/a", $defs: { a: { allOf: [{ $ref: "#/$defs/a" }, { $ref: "#/$defs/a" }] } } },
    ],
  ])(
    "a schema %s ends in bounded work: the call is denied where it could not be evaluated: U is 0",
    async (_what, schema) => {
      const scenario = await start("enforcing", [{ name: "t", inputSchema: { type: "object", ...schema } }]);
      await scenario.call("t", { text: `${"a".repeat(5_000)}!` });
      expect((await scenario.decisions()).map(({ ruling }) => [ruling.action, ruling.reasons[0]])).toEqual([
        ["refuse", "args.schema"],
      ]);
      expect(scenario.server("files").count()).toBe(0);
    },
  );

  it("a schema nested for ever keeps its server out of use", async () => {
    const nested = Array.from({ length: 60 }).reduce<JsonObject>((inner) => ({ properties: { a: inner } }), {});
    const starting = start("enforcing", [{ name: "t", inputSchema: { type: "object", ...nested } }]);
    await expect(starting).rejects.toMatchObject({ code: "ERR_SERVICE_START" });
  });

  it("a schema that refers to another host is never fetched, and admits nothing: U is 0", async () => {
    let fetched = 0;
    const host = createServer((_request, response) => {
      fetched += 1;
      response.end("{}");
    });
    await new Promise<void>((resolve) => host.listen(0, "127.0.0.1", resolve));
    try {
      const address = host.address();
      const port = typeof address === "object" && address !== null ? address.port : 0;
      const remote = { type: "object", $ref: `http://127.0.0.1:${port}/schema.json` };
      const scenario = await start("enforcing", [READ, { name: "t", inputSchema: remote }]);
      expect((await scenario.call("t", { a: 1 })).error).toBeDefined();
      expect([scenario.server("files").count(), fetched]).toEqual([0, 0]);
      expect(await scenario.decisions()).toHaveLength(1);
    } finally {
      await new Promise((resolve) => host.close(resolve));
    }
  });

  it("in advisory mode goes out, and the receipt says that it would not", async () => {
    const scenario = await start("advisory");
    await scenario.call("read", { path: "/etc/passwd" });
    expect(scenario.server("files").count()).toBe(1);
    expect((await scenario.decisions())[0]?.ruling).toMatchObject({ would_deny: true, reasons: ["args.schema"] });
  });
});
