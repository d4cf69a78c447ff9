/** What an agent may make the gateway send without a decision is bounded, whatever its servers do. */

import { afterEach, describe, expect, it } from "vitest";
import { httpServer, startTestGateway, type TestGateway } from "../support/mcp-gateway.ts";
import { type ScriptedServer, sendJson, startScriptedServer } from "../support/mcp-scripted.ts";
import { RawLegacyAgent } from "../support/raw-legacy-agent.ts";

/** The gateway's pause between two notices of changed roots. */
const TOLD_EVERY_MS = 250;

const open: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

/** A legacy server that takes some messages and never says so. */
async function startSilent(methods: readonly string[]): Promise<ScriptedServer> {
  const results: Readonly<Record<string, object>> = {
    initialize: { protocolVersion: "2025-11-25", capabilities: { tools: {}, logging: {} }, serverInfo: {} },
    "tools/list": { tools: [{ name: "t", inputSchema: { type: "object" } }] },
    "tools/call": { content: [] },
  };
  const server = await startScriptedServer(({ id, method = "" }, response) => {
    if (methods.includes(method)) return;
    const result = results[method];
    const error = { code: -32601, message: "no such method" };
    if (id === undefined) response.writeHead(202).end();
    else sendJson(response, { jsonrpc: "2.0", id, ...(result === undefined ? { error } : { result }) });
  });
  open.push(server.close);
  return server;
}

/** Opens a session, and calls the tool in it once. @returns what posts a message in it */
async function shakeHands(gateway: TestGateway): Promise<(message: object) => Promise<Response>> {
  const agent = new RawLegacyAgent(gateway);
  const post = (message: object): Promise<Response> => agent.post(JSON.stringify({ jsonrpc: "2.0", ...message }));
  await agent.shakeHands('{"roots":{}}');
  await (await post({ id: 1, method: "tools/call", params: { name: "t", arguments: {} } })).text();
  return post;
}

function count({ messages }: ScriptedServer, wanted: string): number {
  return messages.filter(({ method }) => method === wanted).length;
}

describe("a flood of an agent", () => {
  const ROOTS = "notifications/roots/list_changed";

  it("of changed roots is one notice under way at a server that does not take it", async () => {
    const server = await startSilent([ROOTS]);
    const gateway = await startTestGateway([httpServer("s", server.url)], { upstreamLimits: { firstByteMs: 2_000 } });
    open.push(gateway.close);
    const post = await shakeHands(gateway);
    const first = post({ method: ROOTS });
    await expect.poll(() => count(server, ROOTS)).toBe(1);
    const others = await Promise.all(Array.from({ length: 50 }, () => post({ method: ROOTS })));
    expect(others.map(({ status }) => status)).toEqual(others.map(() => 202));
    expect(count(server, ROOTS)).toBe(1);
    expect((await first).status).toBe(202);
  });

  it("of changed roots is told at once, and once more afterwards", async () => {
    const server = await startSilent([]);
    const gateway = await startTestGateway([httpServer("s", server.url)]);
    open.push(gateway.close);
    const post = await shakeHands(gateway);
    const begin = performance.now();
    await Promise.all(Array.from({ length: 50 }, () => post({ method: ROOTS })));
    // A flood that a slow machine takes longer for is told once more each time.
    const most = 2 + Math.floor((performance.now() - begin) / TOLD_EVERY_MS);
    await expect.poll(() => count(server, ROOTS)).toBeGreaterThanOrEqual(2);
    await new Promise((resolve) => setTimeout(resolve, 2 * TOLD_EVERY_MS + 100));
    const told = count(server, ROOTS);
    expect(told).toBeLessThanOrEqual(most);
    await post({ method: ROOTS });
    await expect.poll(() => count(server, ROOTS)).toBe(told + 1);
  });

  it("of levels counts as calls in flight", async () => {
    const server = await startSilent(["logging/setLevel"]);
    const limits = { maxInFlightPerCaller: 4 };
    const gateway = await startTestGateway([httpServer("s", server.url)], {
      limits,
      upstreamLimits: { firstByteMs: 1_500 },
    });
    open.push(gateway.close);
    const post = await shakeHands(gateway);
    const asked = Array.from({ length: 10 }, (_, id) =>
      post({ id, method: "logging/setLevel", params: { level: "info" } }),
    );
    await expect
      .poll(() => gateway.pipeline.refusals.map(({ reason }) => reason))
      .toEqual(Array(6).fill("limit.in-flight"));
    await Promise.all(asked);
    expect(count(server, "logging/setLevel")).toBe(4);
  });
});
