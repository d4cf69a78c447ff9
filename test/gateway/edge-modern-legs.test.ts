/** Modern agents before a legacy server: each principal and session has a session of its own there. */

import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ModernLegs } from "../../gateway/edge/modern-legs.ts";
import { Cancellation } from "../../gateway/upstream/cancellation.ts";
import type { UpstreamReply } from "../../gateway/upstream/upstream.ts";
import { META } from "../../gateway/wire/meta-keys.ts";
import { type FixtureServer, startFixtureServer } from "../conformance/fixture-server.ts";
import { ALICE, BOB, httpServer, localCaller, startTestGateway, type TestGateway } from "../support/mcp-gateway.ts";
import { makeFakePipeline } from "../support/mcp-pipeline.ts";
import { sendJson, startScriptedServer } from "../support/mcp-scripted.ts";

/** Of the gateway itself, for listings. */
const OWN = 1;

let server: FixtureServer;
let gateway: TestGateway;
let nowMs = Date.now();
beforeEach(async () => {
  server = await startFixtureServer("legacy");
  gateway = await start({});
});
afterEach(async () => {
  await gateway.close();
  await server.close();
});

function start(limits: object): Promise<TestGateway> {
  return startTestGateway([httpServer("s", server.url)], { limits, nowMs: () => nowMs });
}

/** Calls a tool. @returns everything on the call's stream */
async function call(token: string, tool: string, meta: object = {}, args: object = {}): Promise<string> {
  const params = {
    name: tool,
    arguments: args,
    _meta: { [META.protocolVersion]: "2026-07-28", [META.clientCapabilities]: {}, ...meta },
  };
  const response = await fetch(`${gateway.url}/mcp`, {
    method: "POST",
    headers: {
      "Content-Type": "application/json",
      Accept: "application/json, text/event-stream",
      Authorization: `Bearer ${token}`,
      "MCP-Protocol-Version": "2026-07-28",
      "Mcp-Method": "tools/call",
      "Mcp-Name": tool,
    },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/call", params }),
  });
  return response.text();
}

describe("a modern agent before a legacy server", () => {
  it("shares its session there with nobody, and keeps it from call to call and from trace to trace", async () => {
    await call(ALICE, "test_simple_text");
    expect(server.sessions()).toBe(OWN + 1);
    await call(ALICE, "test_simple_text", { traceparent: `00-${"a".repeat(32)}-${"b".repeat(16)}-01` });
    expect(server.sessions()).toBe(OWN + 1);
    await call(BOB, "test_simple_text");
    expect(server.sessions()).toBe(OWN + 2);
    // What the host calls another session is one.
    await call(ALICE, "test_simple_text", { threadId: "x" });
    expect(server.sessions()).toBe(OWN + 3);
    expect(gateway.pipeline.calls.map(({ upstream }) => upstream.era)).toEqual(
      Array.from({ length: 4 }, () => "legacy"),
    );
    await gateway.closeEdge();
    await expect.poll(server.sessions).toBe(OWN);
  });

  it("is not asked inside a call; the server's request has a receipt that names the agent", async () => {
    const text = await call(ALICE, "test_sampling", {}, { prompt: "p" });
    expect(text).toContain('"isError":true');
    expect(gateway.pipeline.refusals).toMatchObject([
      { reason: "bridge.no-legacy-input", caller: { name: "alice" }, serverId: "s" },
    ]);
  });

  it("gets log messages of its call at the level that it asks for, whatever another call asked for", async () => {
    const logged = (text: string): number => text.split("notifications/message").length - 1;
    expect(logged(await call(ALICE, "test_tool_with_logging", { [META.logLevel]: "info" }))).toBe(3);
    expect(logged(await call(ALICE, "test_tool_with_logging", { [META.logLevel]: "error" }))).toBe(0);
    expect(logged(await call(ALICE, "test_tool_with_logging"))).toBe(0);
    expect(logged(await call(ALICE, "test_tool_with_logging", { [META.logLevel]: "info" }))).toBe(3);
  });

  it("tells the server no level but one of the eight, since nobody decides that message", async () => {
    const results: Readonly<Record<string, object>> = {
      initialize: { protocolVersion: "2025-11-25", capabilities: { tools: {}, logging: {} }, serverInfo: {} },
      "tools/list": { tools: [{ name: "t", inputSchema: { type: "object" } }] },
      "tools/call": { content: [] },
      "logging/setLevel": {},
    };
    const scripted = await startScriptedServer(({ id, method = "" }, response) => {
      const result = results[method];
      const error = { code: -32601, message: "no such method" };
      if (id === undefined) response.writeHead(202).end();
      else sendJson(response, { jsonrpc: "2.0", id, ...(result === undefined ? { error } : { result }) });
    });
    await gateway.close();
    gateway = await startTestGateway([httpServer("s", scripted.url)]);
    for (const level of [{ note: "x" }, "loud", 7, "debug"]) await call(ALICE, "t", { [META.logLevel]: level });
    const told = scripted.messages.filter(({ method }) => method === "logging/setLevel");
    expect(told.map(({ params }) => params)).toEqual([{ level: "debug" }]);
    expect(gateway.pipeline.outcomes.map(({ status }) => status)).toEqual(["ok", "ok", "ok", "ok"]);
    await scripted.close();
  });

  it("loses its session when it is idle, and gets another one with its next call", async () => {
    await call(ALICE, "test_simple_text");
    nowMs += 31 * 60_000;
    await call(BOB, "test_simple_text");
    await expect.poll(server.sessions).toBe(OWN + 1);
    expect(await call(ALICE, "test_simple_text")).toContain("result");
    expect(server.sessions()).toBe(OWN + 2);
  });

  it("has 16 of them at most, however many its host names; those of others stay", async () => {
    await call(BOB, "test_simple_text");
    for (let i = 0; i < 20; i += 1) await call(ALICE, "test_simple_text", { threadId: String(i) });
    await expect.poll(server.sessions).toBe(OWN + 1 + 16);
    await call(BOB, "test_simple_text");
    expect(server.sessions()).toBe(OWN + 1 + 16);
  });

  it("makes room for another agent when it is idle, and keeps its session while a call runs in it", async () => {
    await gateway.close();
    gateway = await start({ maxSessions: 1 });
    await call(ALICE, "test_simple_text");
    expect(await call(BOB, "test_simple_text")).toContain("result");
    await expect.poll(server.sessions).toBe(OWN + 1);
    const running = call(BOB, "test_tool_with_logging");
    await expect.poll(() => gateway.pipeline.calls.length).toBe(3);
    expect(await call(ALICE, "test_simple_text")).toContain("limit.total");
    expect(gateway.pipeline.refusals.at(-1)).toMatchObject({ step: "limits", reason: "limit.total", serverId: "s" });
    expect(await running).toContain("Logged three times");
  });
});

describe("a session at a legacy server", () => {
  /** Sessions for fake agents; what a call waits for the test resolves. */
  function makeLegs(maxSessions: number): {
    readonly use: (name: string) => { readonly end: () => void; readonly done: Promise<unknown> } | "full";
    readonly events: readonly string[];
    readonly pass: (ms: number) => void;
  } {
    let clockMs = 0;
    const events: string[] = [];
    const logger = { info: () => undefined, warn: () => undefined, error: () => undefined };
    const options = { pipeline: makeFakePipeline(), logger, nowMs: () => clockMs, maxSessions, idleMs: 30 * 60_000 };
    const legs = new ModernLegs(options);
    const params = {};
    const message = { type: "request", text: "{}", value: {}, id: 1, method: "tools/call", params } as const;
    const session = { key: "k", source: "idle-window", trust: "inferred" } as const;
    const facts = () => ({ transport: "http", era: "legacy" }) as const;
    const use: ReturnType<typeof makeLegs>["use"] = (name) => {
      let end = (): void => undefined;
      const answer = new Promise<UpstreamReply>((resolve) => {
        end = () => resolve({ type: "failed", status: "cancelled", effect: "none", reason: "client.cancelled" });
      });
      const leg = {
        facts,
        nextId: () => 1,
        request: () => answer,
        notify: () => Promise.resolve(),
        listen: () => void events.push(`open ${name}`),
        close: () => {
          events.push(`end ${name}`);
          return Promise.resolve();
        },
      };
      const upstream = { id: "s", facts, openLeg: () => leg };
      const way = legs.leg({ era: "modern", caller: localCaller(name), session, message }, upstream);
      if (way === "full" || way === undefined) return "full";
      const call = { id: 1, method: "tools/call", headers: {}, bytes: new Uint8Array(), signal: new Cancellation() };
      return { end, done: way.request(call) };
    };
    const pass = (ms: number): void => {
      clockMs += ms;
    };
    return { use, events, pass };
  }

  it("is idle from the end of a call that took long, and not from its begin", async () => {
    const { use, events, pass } = makeLegs(10);
    const long = use("alice");
    if (long === "full") throw new Error("want a session");
    pass(31 * 60_000);
    long.end();
    await long.done;
    pass(2 * 60_000);
    use("bob");
    expect(events).toEqual(["open alice", "open bob"]);
    pass(31 * 60_000);
    use("carol");
    expect(events).toEqual(["open alice", "open bob", "end alice", "open carol"]);
  });

  it("makes room by when its last call ended, too", async () => {
    const { use, events, pass } = makeLegs(2);
    const [long, short] = [use("alice"), use("bob")];
    if (long === "full" || short === "full") throw new Error("want two sessions");
    short.end();
    await short.done;
    pass(1);
    long.end();
    await long.done;
    use("carol");
    expect(events).toEqual(["open alice", "open bob", "end bob", "open carol"]);
  });
});
