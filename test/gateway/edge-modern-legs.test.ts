/** Modern agents before a legacy server: each principal and session has a session of its own there. */

import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { META } from "../../gateway/wire/meta-keys.ts";
import { type FixtureServer, startFixtureServer } from "../conformance/fixture-server.ts";
import { ALICE, BOB, httpServer, startTestGateway, type TestGateway } from "../support/mcp-gateway.ts";
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
