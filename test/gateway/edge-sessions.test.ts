/** Legacy sessions are bounded, and no caller can keep all others out. */

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { ALICE, BOB, httpServer, startTestGateway, type TestGateway } from "../support/mcp-gateway.ts";
import { sendRaw } from "../support/mcp-raw.ts";
import { type CountingServer, startCountingServer } from "../support/mcp-server.ts";

let server: CountingServer;
let gateway: TestGateway;
let now = 0;

beforeAll(async () => {
  server = await startCountingServer("modern");
});
afterAll(() => server.close());
beforeEach(async () => {
  now = Date.now();
  gateway = await startTestGateway([httpServer("counting", server.url)], {
    limits: { maxSessions: 4 },
    nowMs: () => now,
  });
});
afterEach(() => gateway.close());

const INITIALIZE = JSON.stringify({
  jsonrpc: "2.0",
  id: 0,
  method: "initialize",
  params: { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "raw", version: "1" } },
});

/** The id of a new session, or the status of the refusal. */
async function open(token: string): Promise<string | number> {
  now += 1_000;
  const answer = await sendRaw(gateway.url, { headers: { Authorization: `Bearer ${token}` }, body: INITIALIZE });
  return answer.headers["mcp-session-id"] ?? answer.status;
}

async function isOpen(token: string, id: string | number | undefined): Promise<boolean> {
  now += 1_000;
  const headers = { Authorization: `Bearer ${token}`, "Mcp-Session-Id": String(id) };
  const answer = await sendRaw(gateway.url, { headers, body: '{"jsonrpc":"2.0","id":1,"method":"ping"}' });
  return answer.status === 200;
}

describe("a caller that has all the sessions", () => {
  it("gives up those that it used longest ago, until another has as many", async () => {
    const mine = [await open(ALICE), await open(ALICE), await open(ALICE), await open(ALICE)];
    expect(await open(ALICE)).toBe(503);
    expect(await isOpen(ALICE, mine[0])).toBe(true);
    const theirs = [await open(BOB), await open(BOB)];
    expect(theirs.map((one) => typeof one)).toEqual(["string", "string"]);
    expect([await open(BOB), await open(ALICE)]).toEqual([503, 503]);
    const left: boolean[] = [];
    for (const id of mine) left.push(await isOpen(ALICE, id));
    expect(left).toEqual([true, false, false, true]);
    for (const id of theirs) expect(await isOpen(BOB, id)).toBe(true);
  });
});
