/** T9: mandates that grant more than they were given, an agent's token on operators' routes, approvals of something else. */

import { describe, expect, it } from "vitest";
import { parseUtf8 } from "../../kernel/bytes.ts";
import { canonicalBytes } from "../../kernel/json/canonical.ts";
import { parseJson } from "../../kernel/json/parse.ts";
import type { JsonObject, JsonValue } from "../../kernel/json/value.ts";
import { checkMandateChain } from "../../kernel/mandate/mandate-chain.ts";
import { observedValue } from "../../kernel/receipt/observed.ts";
import { formatPublicKey } from "../../kernel/signature/public-key.ts";
import { formatTimestamp } from "../../kernel/time.ts";
import { codeOf } from "../support/code-of.ts";
import { AGENT_TOKEN, ofKind } from "../support/gateway-run.ts";
import { firstMandate, MANDATE_ROOT, type MandateChanges, nextMandate } from "../support/mandates.ts";
import { bodyOf, forgeStream, stealKeys } from "./forged-stream.ts";
import { PERMIT_ALL, type Scenario, startScenario } from "./rig.ts";
import { withScenarios } from "./with-scenarios.ts";

const open = withScenarios();
const ROOT = { issuer: MANDATE_ROOT.issuer, name: MANDATE_ROOT.name, key: formatPublicKey(MANDATE_ROOT.key) };

const start = async (rules = PERMIT_ALL): Promise<Scenario> =>
  open(
    startScenario({
      rules,
      config: { auth: { tokens: [{ principal: "example-agent", token_file: "unused" }], mandates: { roots: [ROOT] } } },
      servers: { s: { tools: [{ name: "echo" }, { name: "wipe" }] } },
    }),
  );

const now = Date.now();
const TIMES = { not_before: formatTimestamp(now - 60_000), not_after: formatTimestamp(now + 600_000) };

/** Alice lets the planner, who lets the agent: two hops. */
function chain(changes: MandateChanges = {}): readonly Uint8Array[] {
  const first = firstMandate(TIMES);
  return [first, nextMandate(first, { ...TIMES, ...changes })];
}

const carried = (mandates: readonly Uint8Array[]): { readonly meta: JsonObject } => ({
  meta: { "countersign/mandates": mandates.map(parseUtf8) },
});

describe("T9 a chain of mandates", () => {
  it("that covers the call lets it out, and its receipt has each hop with its scope: U is 1", async () => {
    const scenario = await start();
    await scenario.call("echo", {}, carried(chain()));
    expect(scenario.server("s").count()).toBe(1);
    const [decision] = await scenario.decisions();
    const hops = decision && observedValue(decision.delegation)?.hops;
    expect(hops?.map(({ scope }) => [scope.tools, scope.depth])).toEqual([
      [["s/*", "t/read"], 2],
      [["s/echo"], 1],
    ]);
    expect((await scenario.evidence()).words).toEqual({ "policy.files": "policy.not-disclosed" });
  });

  it.each<readonly [string, MandateChanges]>([
    ["tools", { scope: { tools: ["x/echo"], resources: [] } }],
    ["resources", { scope: { tools: ["s/echo"], resources: ["s/file:///"] } }],
    ["time", { not_after: formatTimestamp(now + 600_001) }],
    ["depth", { depth: 2 }],
  ])("whose second hop is wider in %s is refused: U is 0", async (_dimension, changes) => {
    const scenario = await start();
    await scenario.call("echo", {}, carried(chain(changes)));
    expect(scenario.server("s").count()).toBe(0);
    const [decision] = await scenario.decisions();
    expect(decision).toMatchObject({
      ruling: { action: "refuse", step: "identity", reasons: ["delegation.wider"] },
      delegation: { state: "not_established", reason: "delegation.wider" },
    });
    const check = (): unknown => checkMandateChain(chain(changes), [MANDATE_ROOT], now);
    expect(codeOf(check)).toBe("ERR_MANDATE_WIDER");
  });

  it("that does not cover the call lets it not out, whatever else permits it: U is 0", async () => {
    const scenario = await start();
    const denied = await scenario.call("wipe", {}, carried(chain()));
    expect(denied.text).toContain("delegation.scope");
    expect(scenario.server("s").count()).toBe(0);
    expect((await scenario.decisions())[0]?.ruling).toMatchObject({ action: "refuse", step: "identity" });
  });

  it("without one of its hops is broken, at the gateway and offline: U is 0", async () => {
    const scenario = await start();
    const [first, second] = chain();
    if (first === undefined || second === undefined) throw new Error("no chain");
    await scenario.call("echo", {}, carried([second]));
    await scenario.call("echo", {}, carried([first]));
    expect(scenario.server("s").count()).toBe(0);
    expect((await scenario.decisions()).map(({ ruling }) => ruling.reasons[0])).toEqual([
      "delegation.broken",
      "delegation.holder",
    ]);
    expect(codeOf(() => checkMandateChain([second], [MANDATE_ROOT], now))).toBe("ERR_MANDATE_BROKEN");
  });

  it.each<readonly [string, (hops: readonly JsonValue[]) => readonly JsonValue[]]>([
    ["removed", (hops) => hops.slice(1)],
    [
      "widened",
      ([first, second]) => [
        first ?? null,
        { ...(second as JsonObject), scope: { ...scopeOf(second), tools: ["s/*"] } },
      ],
    ],
  ])(
    "with a hop %s in the receipt is no receipt: the keys' holder cannot sign it, and the verifier fails it",
    async (_what, change) => {
      const scenario = await start();
      await scenario.call("echo", {}, carried(chain()));
      const cut = (body: JsonObject): JsonObject => {
        if (body["kind"] !== "decision") return body;
        const delegation = body["delegation"] as JsonObject;
        const value = delegation["value"] as JsonObject;
        const hops = value["hops"];
        return {
          ...body,
          delegation: { ...delegation, value: { ...value, hops: change(Array.isArray(hops) ? hops : []) } },
        };
      };
      let signing: unknown;
      const { exit, words } = await scenario.evidence({
        entries: (honest) => {
          const keys = stealKeys(scenario.folder, scenario.stream);
          signing = codeOf(() => forgeStream(keys, honest.slice(1), cut));
          return honest.map((bytes, i) => (i === 0 ? bytes : edited(bytes, cut)));
        },
      });
      expect(signing).toMatch(/^ERR_/u);
      expect(exit).toBe(1);
      expect(words["receipt.signature"]).toMatch(/^ERR_/u);
    },
  );
});

describe("T9 an agent's token", () => {
  it.each<readonly [string, string, string, JsonObject | undefined]>([
    ["resets labels", "POST", "/labels/reset", { issuer: "local", name: "example-agent" }],
    ["seals sessions", "POST", "/sessions/seal", undefined],
    ["reads the catalog", "GET", "/catalog", undefined],
    ["brings a catalog", "POST", "/catalog", {}],
    ["brings a policy", "POST", "/policy", {}],
    ["lifts a stop", "DELETE", "/kill-switch", { target: "all" }],
    ["ends a quarantine", "DELETE", "/quarantine", { target: "principal:local|example-agent" }],
    ["grants an approval", "POST", `/approvals/${"0".repeat(32)}/grant`, {}],
  ])("that %s is refused with a receipt, and nothing has changed", async (_what, method, path, body) => {
    const scenario = await start();
    await scenario.call("echo");
    const before = await scenario.operate("GET", "/status");
    expect((await scenario.operate(method, path, body, AGENT_TOKEN)).status).toBe(401);
    const after = await scenario.operate("GET", "/status");
    const settled = ({ body: status }: typeof before): readonly JsonValue[] =>
      ["mode", "policy", "catalog", "sessions"].map((name) => (status as JsonObject)[name] ?? null);
    expect(settled(after)).toEqual(settled(before));
    const last = (await scenario.decisions()).at(-1);
    expect(last?.ruling).toMatchObject({ action: "refuse", step: "authenticate", reasons: ["auth.invalid"] });
    expect(ofKind(await scenario.receipts(), "operator-action")).toEqual([]);
  });
});

describe("T9 an approval", () => {
  it("of one request answers no other: other arguments and another tool stay held, U is 0, then 1", async () => {
    const scenario = await start(`${PERMIT_ALL}
      @id("hold") @decision("require-approval") @approvers("local-user")
      forbid (principal, action in Mcp::Action::"call_tool", resource);`);
    const held = await scenario.call("echo", { to: "alice" });
    const id = String(held.error?.data?.["approvalId"]);
    expect((await scenario.operate("POST", `/approvals/${id}/grant`, {})).status).toBe(200);
    for (const [tool, argument] of [
      ["echo", { to: "mallory" }],
      ["wipe", { to: "alice" }],
    ] as const) {
      const other = await scenario.call(tool, argument);
      expect(other.error?.data).toMatchObject({ reason: "approval.required" });
      expect(other.error?.data?.["approvalId"]).not.toBe(id);
    }
    expect(scenario.server("s").count()).toBe(0);
    await scenario.call("echo", { to: "alice" });
    expect(scenario.server("s").count()).toBe(1);
    expect((await scenario.decisions()).map(({ ruling }) => ruling.action)).toEqual([
      "hold",
      "hold",
      "hold",
      "forward",
    ]);
  });
});

function scopeOf(hop: JsonValue | undefined): JsonObject {
  return (hop as JsonObject)["scope"] as JsonObject;
}

/** The entry with another body under its old signatures. */
function edited(bytes: Uint8Array, change: (body: JsonObject) => JsonObject): Uint8Array {
  const whole = parseJson(bytes) as JsonObject;
  return canonicalBytes({ ...whole, ...change(bodyOf(bytes)) });
}
