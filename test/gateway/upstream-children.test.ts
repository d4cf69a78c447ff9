import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { afterEach, describe, expect, it } from "vitest";
import { ALICE, BOB, startTestGateway, type TestGateway } from "../support/mcp-gateway.ts";
import { scriptedChild } from "../support/mcp-scripted.ts";

const open: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

/** Counts its own calls; `ask` asks its client, if that declared that it may be asked, before it answers. */
const SOURCE = `
  if (message.id === "q") { send({ id: asked, result: { content: [{ type: "text", text: message.result?.action ?? "error " + message.error?.code }] } }); return; }
  if (message.method !== "tools/call") return send({ id: message.id, result: {} });
  count += 1;
  if (message.params.arguments.die) process.exit(3);
  if (!message.params.arguments.ask) return send({ id: message.id, result: { content: [{ type: "text", text: count + " " + process.pid }] } });
  asked = message.id;
  send({ id: "q", method: "elicitation/create", params: { message: "who", requestedSchema: { type: "object", properties: {} } } });`;

async function start(per_session: number): Promise<TestGateway> {
  const child = scriptedChild("s", SOURCE, "let count = 0; let asked;");
  if (child.transport !== "stdio") throw new Error("want a child");
  const gateway = await startTestGateway([{ ...child, per_session }], { upstreamLimits: { stopMs: 100 } });
  open.push(gateway.close);
  return gateway;
}

async function agent({ url }: TestGateway, token: string, era: "modern" | "legacy" = "legacy"): Promise<Client> {
  const modern = { versionNegotiation: { mode: "auto" } } as const;
  const info = { name: "agent", version: "1" };
  const client = new Client(info, { capabilities: { elicitation: {} }, ...(era === "modern" ? modern : {}) });
  client.setRequestHandler("elicitation/create", () => ({ action: "decline" }));
  const headers = { Authorization: `Bearer ${token}` };
  await client.connect(new StreamableHTTPClientTransport(new URL(`${url}/mcp`), { requestInit: { headers } }));
  open.push(() => client.close());
  return client;
}

async function call(client: Client, args: Record<string, unknown> = {}): Promise<readonly string[]> {
  const { content } = await client.callTool({ name: "t", arguments: args });
  const [part] = Array.isArray(content) ? content : [];
  return part?.type === "text" ? part.text.split(" ") : [];
}

async function endSession({ transport }: Client): Promise<void> {
  if (transport instanceof StreamableHTTPClientTransport) await transport.terminateSession();
}

function isAlive(pid: string | undefined): boolean {
  try {
    return process.kill(Number(pid), 0);
  } catch {
    return false;
  }
}

describe("a question that its server takes back", () => {
  it("is taken back from the agent, who is asked no more", async () => {
    const source = `
      if (message.method !== "tools/call") return;
      send({ id: "q", method: "elicitation/create", params: { message: "who", requestedSchema: { type: "object", properties: {} } } });
      setTimeout(() => { send({ method: "notifications/cancelled", params: { requestId: "q" } });
        send({ id: message.id, result: { content: [{ type: "text", text: "without" }] } }); }, 50);`;
    const child = scriptedChild("s", source);
    if (child.transport !== "stdio") throw new Error("want a child");
    const gateway = await startTestGateway([{ ...child, per_session: 1 }], { upstreamLimits: { stopMs: 100 } });
    open.push(gateway.close);
    const client = await agent(gateway, ALICE);
    const takenBack = new Promise<void>((resolve) => {
      client.setRequestHandler("elicitation/create", async (_request, { mcpReq }) => {
        await new Promise<void>((ended) => mcpReq.signal.addEventListener("abort", () => ended()));
        resolve();
        return { action: "cancel" };
      });
    });
    expect(await call(client)).toEqual(["without"]);
    await takenBack;
    const asked = gateway.pipeline.calls.findIndex(({ target }) => target.kind === "elicit");
    expect(asked).toBe(1);
    await expect.poll(() => gateway.pipeline.outcomes.map(({ status }) => status)).toContain("cancelled");
  });
});

describe("a stateful child of each session", () => {
  it("is one agent's alone: its state, its process, its questions; and goes with the session", async () => {
    const gateway = await start(4);
    const [alice, bob] = [await agent(gateway, ALICE), await agent(gateway, BOB)];
    const [first, second, other] = [await call(alice), await call(alice), await call(bob)];
    expect([first[0], second[0], other[0]]).toEqual(["1", "2", "1"]);
    expect(first[1]).toBe(second[1]);
    expect(other[1]).not.toBe(first[1]);
    expect(await call(alice, { ask: true })).toEqual(["decline"]);
    expect(gateway.pipeline.calls.at(-1)).toMatchObject({ target: { kind: "elicit" }, caller: { name: "alice" } });
    await endSession(alice);
    await expect.poll(() => isAlive(first[1])).toBe(false);
    expect(isAlive(other[1])).toBe(true);
    // Modern agents have no session: they share one child.
    expect((await call(await agent(gateway, ALICE, "modern")))[0]).toBe("1");
  });

  it("is started for as many sessions as may be and no more, and again when it dies", async () => {
    const gateway = await start(1);
    const [alice, bob] = [await agent(gateway, ALICE), await agent(gateway, BOB)];
    const before = await call(alice);
    await expect(call(bob)).rejects.toThrow();
    expect(gateway.pipeline.outcomes.at(-1)).toMatchObject({ status: "upstream_error", effect: "none" });
    await expect(call(alice, { die: true })).rejects.toThrow();
    await expect.poll(() => isAlive(before[1])).toBe(false);
    const after = await call(alice);
    expect([after[0], after[1] === before[1]]).toEqual(["1", false]);
    await endSession(alice);
    await expect.poll(() => isAlive(after[1])).toBe(false);
    await expect.poll(async () => (await call(bob).catch(() => []))[0]).toBe("1");
  });
});
