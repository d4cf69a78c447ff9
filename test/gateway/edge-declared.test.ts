/** What legacy agents declare at their handshake is kept as long as their sessions are: it has a bound, and so has a caller's. */

import { PassThrough } from "node:stream";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runStdioEdge } from "../../gateway/edge/stdio-edge.ts";
import { BOB, httpServer, localCaller, makeWire, startTestGateway, type TestGateway } from "../support/mcp-gateway.ts";
import { type RawAnswer, sendRaw } from "../support/mcp-raw.ts";
import { type CountingServer, startCountingServer } from "../support/mcp-server.ts";

const MAX_BYTES = 16_384;
const MAX_CALLER_BYTES = 4 * 1024 * 1024;

let server: CountingServer;
let gateway: TestGateway;

beforeAll(async () => {
  server = await startCountingServer("modern");
  gateway = await startTestGateway([httpServer("counting", server.url)]);
});
afterAll(async () => {
  await gateway.close();
  await server.close();
});

/** A handshake that declares so many bytes, of which some are characters of two. */
function initialize(bytes: number): string {
  const frame = '{"experimental":{"x":""}}'.length;
  const capabilities = { experimental: { x: `é${"x".repeat(bytes - frame - 2)}` } };
  const params = { protocolVersion: "2025-11-25", capabilities, clientInfo: { name: "raw", version: "1" } };
  return JSON.stringify({ jsonrpc: "2.0", id: "hello", method: "initialize", params });
}

function open(bytes: number, headers: Record<string, string> = {}): Promise<RawAnswer> {
  return sendRaw(gateway.url, { headers, body: initialize(bytes) });
}

describe("the capabilities of a legacy agent", () => {
  it("have a bound, and beyond it there is no session", async () => {
    const most = await open(MAX_BYTES);
    expect([most.status, typeof most.headers["mcp-session-id"]]).toEqual([200, "string"]);
    const more = await open(MAX_BYTES + 1);
    expect([more.status, more.headers["mcp-session-id"]]).toEqual([200, undefined]);
    expect(JSON.parse(more.body)).toMatchObject({
      id: "hello",
      error: { code: -32_602, data: { reason: "json.size" } },
    });
    expect(gateway.pipeline.refusals.at(-1)).toMatchObject({ step: "classify", reason: "json.size" });
  });

  it("have the same bound on standard input", async () => {
    const wire = await makeWire([httpServer("counting", server.url)], []);
    const [input, output, stop] = [new PassThrough(), new PassThrough(), new AbortController()];
    let text = "";
    output.on("data", (chunk: Buffer) => {
      text += chunk.toString("utf8");
    });
    const caller = localCaller("1000");
    const running = runStdioEdge({ ...wire.options, input, output, caller, signal: stop.signal });
    input.write(`${initialize(MAX_BYTES + 1)}\n`);
    await expect.poll(() => text).toContain("json.size");
    input.write(`${initialize(MAX_BYTES)}\n`);
    await expect.poll(() => text).toContain("serverInfo");
    input.end();
    await running;
    await wire.close();
  });

  it("have a bound for the sessions of one caller together, which one that ends leaves", async () => {
    const sessions: (string | undefined)[] = [];
    for (let bytes = 2 * MAX_BYTES; bytes <= MAX_CALLER_BYTES; bytes += MAX_BYTES) {
      sessions.push((await open(MAX_BYTES)).headers["mcp-session-id"]);
    }
    const full = await open(100);
    expect([full.status, full.headers["retry-after"], full.json?.error]).toMatchObject([
      503,
      "60",
      { code: -31_006, data: { reason: "limit.sessions" } },
    ]);
    expect((await open(MAX_BYTES, { Authorization: `Bearer ${BOB}` })).status).toBe(200);
    const [first = ""] = sessions;
    await sendRaw(gateway.url, { method: "DELETE", headers: { "Mcp-Session-Id": first } });
    expect((await open(MAX_BYTES)).status).toBe(200);
    expect((await open(100)).status).toBe(503);
  });
});
