import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { ALICE, httpServer, startTestGateway, type TestGateway } from "../support/mcp-gateway.ts";
import { connectOldClient } from "../support/mcp-old-client.ts";
import { DENIED } from "../support/mcp-pipeline.ts";
import { type CountingServer, startCountingServer } from "../support/mcp-server.ts";

const headers = { Authorization: `Bearer ${ALICE}` };

async function modernClient(url: string): Promise<Client> {
  const client = new Client({ name: "agent", version: "1" }, { versionNegotiation: { mode: "auto" } });
  await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } }));
  return client;
}

async function legacyClient(url: string): Promise<{ client: Client; transport: StreamableHTTPClientTransport }> {
  const client = new Client({ name: "agent", version: "1" });
  const transport = new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } });
  await client.connect(transport);
  return { client, transport };
}

describe.each(["modern", "sessions"] as const)("a server of the SDK that speaks %s", (era) => {
  let server: CountingServer;
  let gateway: TestGateway;

  beforeAll(async () => {
    server = await startCountingServer(era);
    gateway = await startTestGateway([httpServer("counting", server.url)]);
  });
  afterAll(async () => {
    await gateway.close();
    await server.close();
  });
  beforeEach(() => {
    gateway.pipeline.policy = () => undefined;
  });

  const clients = [
    ["the SDK's 2.x client, modern", modernClient],
    ["the SDK's 2.x client, legacy", async (url: string) => (await legacyClient(url)).client],
  ] as const;

  it.each(clients)("is used by %s", async (_name, connect) => {
    const client = await connect(`${gateway.url}/mcp`);
    expect(client.getInstructions()).toBe("Count everything.");
    const { tools } = await client.listTools();
    expect(tools.map(({ name }) => name)).toEqual(["echo", "fail", "remove", "steps", "wait"]);
    const result = await client.callTool({ name: "echo", arguments: { message: "hello" } });
    expect(result.content).toEqual([{ type: "text", text: "hello" }]);
    expect((await client.callTool({ name: "fail", arguments: {} })).isError).toBe(true);
    expect((await client.listResources()).resources.map(({ uri }) => uri)).toEqual(["test://fixed"]);
    const { contents } = await client.readResource({ uri: "test://fixed" });
    expect(contents[0]).toMatchObject({ text: "fixed text" });
    expect((await client.getPrompt({ name: "greet" })).messages).toHaveLength(1);
    await client.close();
    const { wire, upstream } = gateway.pipeline.calls.at(-1) ?? {};
    expect(wire?.era).toBe(connect === modernClient ? "modern" : "legacy");
    expect(upstream?.era).toBe(era === "modern" ? "modern" : "legacy");
    expect(gateway.pipeline.outcomes.map(({ status }) => status).slice(-4)).toEqual(["ok", "tool_error", "ok", "ok"]);
  });

  it.each(clients)("reports progress in order to %s", async (_name, connect) => {
    const client = await connect(`${gateway.url}/mcp`);
    const seen: number[] = [];
    const onprogress = ({ progress }: { progress: number }): void => void seen.push(progress);
    const result = await client.callTool({ name: "steps", arguments: {} }, { onprogress });
    expect(result.content).toEqual([{ type: "text", text: "stepped" }]);
    expect(seen).toEqual([0, 50, 100]);
    await client.close();
  });

  it.each(clients)("never sees a call of %s that the policy denies", async (_name, connect) => {
    const client = await connect(`${gateway.url}/mcp`);
    gateway.pipeline.policy = ({ target }) => (target.name === "remove" ? DENIED : undefined);
    const result = await client.callTool({ name: "remove", arguments: {} });
    expect(result.isError).toBe(true);
    expect(result._meta).toMatchObject({
      "countersign/reason": "policy.forbid",
      "countersign/policies": ["no-deletes"],
    });
    expect(result._meta?.["countersign/receipt"]).toMatch(/^(?:ab){32}\/\d+$/u);
    expect(server.calls.get("remove") ?? 0).toBe(0);
    await client.close();
  });

  it("is used by the SDK's 1.x client, and the session ends with DELETE", async () => {
    const client = await connectOldClient(`${gateway.url}/s/counting/mcp`, headers);
    expect(await client.toolNames()).toHaveLength(5);
    const result = await client.call("echo", { message: "old" });
    expect(result["content"]).toEqual([{ type: "text", text: "old" }]);
    await client.terminate();
    await client.close();
    await expect
      .poll(() => gateway.pipeline.sealed.at(-1))
      .toMatchObject({ session: { key: client.sessionId }, reason: "ended" });
  });

  it("never gets the agent's credential, cookie or origin", () => {
    expect(server.headers.length).toBeGreaterThan(10);
    for (const sent of server.headers) {
      expect(JSON.stringify(sent)).not.toContain(ALICE);
      expect(sent.authorization).toBe("Bearer upstream-token");
      expect(sent["accept-encoding"]).toBe("identity");
    }
  });

  it("loses none of 40 calls at once, with ids that repeat", async () => {
    const many = await Promise.all(Array.from({ length: 4 }, () => modernClient(`${gateway.url}/mcp`)));
    const before = server.calls.get("echo") ?? 0;
    const answers = await Promise.all(
      many.flatMap((client, c) =>
        Array.from({ length: 10 }, async (_, i) => {
          const message = `${c}-${i}`;
          const { content } = await client.callTool({ name: "echo", arguments: { message } });
          return JSON.stringify(content) === JSON.stringify([{ type: "text", text: message }]);
        }),
      ),
    );
    expect(answers.filter((isRight) => isRight)).toHaveLength(40);
    expect((server.calls.get("echo") ?? 0) - before).toBe(40);
    await Promise.all(many.map((client) => client.close()));
  });
});
