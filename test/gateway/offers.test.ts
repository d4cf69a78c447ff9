/** What agents are offered by policy, and methods of extensions: through a whole gateway before a server in the test's process. */

import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type RunningGateway, startGateway } from "../../gateway/start.ts";
import type { JsonObject } from "../../kernel/json/value.ts";
import type { StreamReceipt } from "../../kernel/receipt/receipt.ts";
import type { Mode } from "../../kernel/receipt/vocabulary.ts";
import { codeFrom } from "../support/code-of.ts";
import { type FakeLedger, startFakeLedger } from "../support/fake-ledger.ts";
import { type FakeUpstream, makeFakeUpstream } from "../support/fake-upstream.ts";
import {
  AGENT_TOKEN,
  CALLER,
  callOf,
  type GatewayBench,
  makeGatewayBench,
  ofKind,
  readStream,
} from "../support/gateway-run.ts";
import { postModern } from "../support/modern-call.ts";
import { bundleFiles } from "../support/policy-request.ts";

const OTHER_TOKEN = "b".repeat(40);
const EXTENSION = "example.com/weather";
const CALLS = `@id("calls") permit (principal, action in [Mcp::Action::"call_tool", Mcp::Action::"get_prompt",
  Mcp::Action::"read_resource", Mcp::Action::"complete", Mcp::Action::"subscribe"], resource);`;
const HIDES = `${CALLS}
@id("hide.wipe") forbid (principal == Mcp::Agent::"local|example-agent", action == Mcp::Action::"offer:s/wipe", resource);
@id("hide.prompt") forbid (principal == Mcp::Agent::"local|example-agent", action == Mcp::Action::"offer:prompt:s/secret", resource);
@id("hide.uri") forbid (principal == Mcp::Agent::"local|example-agent", action == Mcp::Action::"offer:read:s", resource)
when { context.input has uri && context.input.uri like "secret:*" };`;

let ledger: FakeLedger;
let upstream: FakeUpstream;
let bench: GatewayBench | undefined;
let gateway: RunningGateway | undefined;
beforeEach(async () => {
  ledger = await startFakeLedger();
  const prompts = ["open", "secret"].map((name) => JSON.stringify({ name }));
  const resources = ["open:1", "secret:1"].map((uri) => JSON.stringify({ uri, name: uri }));
  const fake = makeFakeUpstream("s");
  upstream = {
    ...fake,
    listSurface: async () => ({
      ...(await fake.listSurface()),
      capabilities: {
        tools: { listChanged: true },
        prompts: {},
        resources: { subscribe: true },
        completions: {},
        extensions: { [EXTENSION]: { units: "si" }, "io.modelcontextprotocol/tasks": {} },
      },
      prompts,
      resources,
    }),
  };
});
afterEach(async () => {
  await gateway?.close();
  bench?.remove();
  [gateway, bench] = [undefined, undefined];
  await ledger.close();
});

function benchWith(cedar: string, mode: Mode = "enforcing"): GatewayBench {
  const made = makeGatewayBench(ledger.url, { mode, policyFiles: bundleFiles(cedar), upstreams: [upstream] });
  bench = made;
  return made;
}

async function start(cedar: string, mode: Mode = "enforcing"): Promise<RunningGateway> {
  const { gatewayOptions } = benchWith(cedar, mode);
  const agentTokens = [
    { principal: "example-agent", token: AGENT_TOKEN },
    { principal: "other-agent", token: OTHER_TOKEN },
  ];
  gateway = await startGateway({ ...gatewayOptions, secrets: { ...gatewayOptions.secrets, agentTokens } });
  return gateway;
}

/** A modern request; `extensions` is what the agent declares. */
async function ask(
  method: string,
  params: JsonObject = {},
  { token = AGENT_TOKEN, extensions = {} }: { readonly token?: string; readonly extensions?: JsonObject } = {},
): Promise<JsonObject> {
  const named = params["name"] ?? params["uri"];
  const meta = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": { name: "a", version: "1" },
    "io.modelcontextprotocol/clientCapabilities": { extensions },
  };
  const response = await fetch(`${gateway?.url}/mcp`, {
    method: "POST",
    headers: {
      authorization: `Bearer ${token}`,
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
      "mcp-protocol-version": "2026-07-28",
      "mcp-method": method,
      ...(typeof named === "string" ? { "mcp-name": named } : {}),
    },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method, params: { ...params, _meta: meta } }),
  });
  return (await response.json()) as JsonObject;
}

/** Names or URIs of a list. */
async function listed(kind: "tools" | "prompts" | "resources", token = AGENT_TOKEN): Promise<readonly unknown[]> {
  const { result } = await ask(`${kind}/list`, {}, { token });
  const items = (result as JsonObject)[kind] as readonly JsonObject[];
  return items.map((item) => item["uri"] ?? item["name"]);
}

async function receipts(): Promise<readonly StreamReceipt[]> {
  if (bench === undefined) throw new Error("no bench");
  const { stream } = JSON.parse(
    await (
      await fetch(`${gateway?.operatorUrl}/status`, { headers: { authorization: `Bearer ${"o".repeat(40)}` } })
    ).text(),
  );
  return readStream(bench.folder, stream);
}

/** What of an error does not tell two refusals apart. */
function withoutReceipt({ error }: JsonObject): unknown {
  const { code, message, data } = error as JsonObject;
  const { receipt: _, ...rest } = data as JsonObject;
  return { code, message, data: rest };
}

describe("a list", () => {
  it("has what the catalog has where no policy is about lists, and leaves no receipt", async () => {
    await start(`${CALLS} @id("none") forbid (principal, action == Mcp::Action::"s/wipe", resource);`);
    expect([await listed("tools"), await listed("prompts"), await listed("resources")]).toEqual([
      ["echo", "wipe"],
      ["open", "secret"],
      ["open:1", "secret:1"],
    ]);
    expect(ofKind(await receipts(), "decision")).toEqual([]);
  });

  it("leaves out what a policy forbids to offer this caller, and no other, with receipts of what was seen", async () => {
    await start(HIDES);
    expect([await listed("tools"), await listed("prompts"), await listed("resources")]).toEqual([
      ["echo"],
      ["open"],
      ["open:1"],
    ]);
    expect(await listed("tools", OTHER_TOKEN)).toEqual(["echo", "wipe"]);
    const all = await receipts();
    const decisions = ofKind(all, "decision");
    expect(decisions.map(({ ruling, wire }) => [ruling.reasons, wire.mcp_method])).toEqual(
      ["tools/list", "prompts/list", "resources/list", "tools/list"].map((value) => [
        ["policy.not-forbidden"],
        { state: "present", value },
      ]),
    );
    const views = decisions.map(({ catalog }) => (catalog.state === "present" ? catalog.value : undefined));
    expect(views.map((view) => view?.withheld)).toEqual([3, 3, 3, 0]);
    expect(views[0]?.seen).not.toEqual(views[3]?.seen);
    expect(ofKind(all, "outcome").map(({ outcome }) => [outcome.status, outcome.effect])).toEqual(
      decisions.map(() => ["ok", "done"]),
    );
  });

  it("is empty where the list itself is forbidden, with a receipt of that", async () => {
    await start(`${CALLS} @id("no-lists") forbid (principal, action in Mcp::Action::"list", resource)
      when { context.input.method == "tools/list" };`);
    expect([await listed("tools"), await listed("prompts")]).toEqual([[], ["open", "secret"]]);
    const [refused] = ofKind(await receipts(), "decision");
    expect(refused?.ruling).toMatchObject({ action: "refuse", policies: ["no-lists"] });
  });

  it("is an error, and no empty list, where something else than a policy stops it", async () => {
    const { gatewayOptions } = benchWith(HIDES);
    const limits = { calls_per_minute: { session: 1 } };
    gateway = await startGateway({ ...gatewayOptions, config: { ...gatewayOptions.config, limits } });
    expect(await listed("tools")).toEqual(["echo"]);
    expect(await ask("tools/list")).toMatchObject({ error: { code: -31006 } });
  });

  it("hides nothing in a mode that only records", async () => {
    await start(HIDES, "advisory");
    expect(await listed("tools")).toEqual(["echo", "wipe"]);
  });
});

describe("what is hidden", () => {
  it("is answered like what does not exist, in calls and completions; the receipt alone says more", async () => {
    await start(HIDES);
    const named = (name: string): readonly (readonly [string, JsonObject])[] => [
      ["tools/call", { name, arguments: {} }],
      ["prompts/get", { name }],
      ["completion/complete", { ref: { type: "ref/prompt", name }, argument: { name: "a", value: "" } }],
    ];
    const hidden = ["wipe", "secret", "secret"];
    for (const [i, [method, params]] of named("nothing").entries()) {
      const own = named(hidden[i] ?? "")[i]?.[1] ?? {};
      expect(withoutReceipt(await ask(method, own)), method).toEqual(withoutReceipt(await ask(method, params)));
    }
    const read = await ask("resources/read", { uri: "secret:1" });
    expect((read["error"] as JsonObject)["code"]).toBe(-32602);
    expect(upstream.requests).toEqual([]);
    const reasons = ofKind(await receipts(), "decision").map(({ ruling }) => ruling.reasons[0]);
    expect(reasons).toEqual([
      "definition.hidden",
      "name.unknown",
      "definition.hidden",
      "name.unknown",
      "definition.hidden",
      "name.unknown",
      "definition.hidden",
    ]);
  });

  it("is not listened for", async () => {
    await start(HIDES);
    const params = { notifications: { resourceSubscriptions: ["secret:1"] } };
    const text = await (await postModern(gateway?.url ?? "", { method: "subscriptions/listen", params })).text();
    expect(text).toContain('"notifications":{}');
    expect(text).not.toContain("secret:1");
  });

  it("is found once for a caller, policy and catalog, and what is kept is bounded by these", async () => {
    const run = await benchWith(HIDES).open();
    try {
      const reader = run.offers.readerFor(callOf("echo", {}));
      expect(run.offers.readerFor(callOf("wipe", {}))).toBe(reader);
      expect(reader.definitions("s", "tools").map(({ name }) => name)).toEqual(["echo"]);
      const session = { key: "another", source: "traceparent", trust: "inferred" } as const;
      expect(run.offers.readerFor(callOf("echo", {}, { session }))).toBe(reader);
      const other = run.offers.readerFor(callOf("echo", {}, { caller: { ...CALLER, name: "other" } }));
      expect(other.definitions("s", "tools")).toHaveLength(2);
    } finally {
      await run.close();
    }
  });
});

describe("a bundle about offers", () => {
  it.each<readonly [string, string]>([
    ["permits one", '@id("x") permit (principal, action == Mcp::Action::"offer:s/echo", resource);'],
    ["permits lists", '@id("x") permit (principal, action in Mcp::Action::"list", resource);'],
    [
      "depends on the session",
      '@id("x") forbid (principal, action in Mcp::Action::"offer", resource) when { context.session.calls > 3 };',
    ],
    [
      "depends on the time",
      '@id("x") forbid (principal, action in Mcp::Action::"offer", resource) when { context.system.now > datetime("2020-01-01") };',
    ],
    ["names what there is not", '@id("x") forbid (principal, action == Mcp::Action::"offer:s/nothing", resource);'],
  ])("is refused if it %s", async (_, cedar) => {
    expect(await codeFrom(benchWith(`${CALLS} ${cedar}`).open())).toBe("ERR_POLICY_BUNDLE");
  });

  it("does not hear rules about a server's calls, nor rules without an action", async () => {
    await start(`${CALLS} @id("all") forbid (principal, action, resource) when { context.session.calls > 100 };
      @id("s") forbid (principal, action in Mcp::Action::"server:s", resource);`);
    expect(await listed("tools")).toEqual(["echo", "wipe"]);
  });
});

describe("a method that MCP does not define", () => {
  const PERMITS = `@id("weather") permit (principal == Mcp::Agent::"local|example-agent", action == Mcp::Action::"extension:s", resource)
    when { context.input.method like "weather/*" && context.input.extensions.contains("${EXTENSION}") };`;
  const declared = { extensions: { [EXTENSION]: {}, "io.modelcontextprotocol/tasks": {} } };

  it("is refused without an action of its own, also where everything is permitted", async () => {
    await start(`@id("all") permit (principal, action, resource);
      @id("s") permit (principal, action in Mcp::Action::"server:s", resource);`);
    expect(await ask("weather/now", { city: "X" }, declared)).toMatchObject({ error: { code: -32601 } });
    const [refused] = ofKind(await receipts(), "decision");
    expect(refused?.ruling.reasons).toEqual(["mcp.method-unknown"]);
    expect(JSON.stringify(await ask("server/discover"))).not.toContain(EXTENSION);
  });

  it("goes to the server that declares the extension if a policy permits it, with two receipts", async () => {
    await start(PERMITS);
    expect((await ask("server/discover"))["result"]).toMatchObject({
      capabilities: { extensions: { [EXTENSION]: { units: "si" } } },
    });
    expect(await ask("weather/now", { city: "X" }, declared)).toHaveProperty("result");
    const [sent] = upstream.requests;
    const message = JSON.parse(new TextDecoder().decode(sent?.bytes));
    expect([sent?.method, message.params.city]).toEqual(["weather/now", "X"]);
    const capabilities = message.params._meta["io.modelcontextprotocol/clientCapabilities"];
    expect(capabilities).toEqual({ extensions: { [EXTENSION]: {} } });
    const all = await receipts();
    const [decision] = ofKind(all, "decision");
    expect(decision).toMatchObject({
      ruling: { action: "forward", policies: ["weather"] },
      wire: { mcp_method: { state: "not_established", reason: "mcp.method-unknown" } },
    });
    expect(ofKind(all, "outcome")).toMatchObject([{ outcome: { status: "ok", effect: "done" } }]);
  });

  it("is denied by policy for other methods, callers and what a forbid names, and unknown to who declares no extension", async () => {
    await start(`${PERMITS} @id("no") forbid (principal, action in Mcp::Action::"server:s", resource)
      when { context.input has method && context.input.method == "weather/delete" };`);
    const denied = { error: { code: -31001 } };
    expect(await ask("other/method", {}, declared)).toMatchObject(denied);
    expect(await ask("weather/delete", {}, declared)).toMatchObject(denied);
    expect(await ask("weather/now", {}, { ...declared, token: OTHER_TOKEN })).toMatchObject(denied);
    expect(await ask("weather/now", {})).toMatchObject({ error: { code: -32601 } });
    const tasks = { extensions: { "io.modelcontextprotocol/tasks": {} } };
    expect(await ask("weather/now", {}, tasks)).toMatchObject({ error: { code: -32601 } });
    expect(upstream.requests).toEqual([]);
  });
});
