import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type FixtureServer, startFixtureServer } from "../conformance/fixture-server.ts";
import { ALICE, httpServer, startTestGateway, type TestGateway } from "../support/mcp-gateway.ts";
import { DENIED } from "../support/mcp-pipeline.ts";

const EVERYTHING = { sampling: {}, elicitation: {}, roots: {} };

let server: FixtureServer;
let gateway: TestGateway;
const clients: Client[] = [];

beforeEach(async () => {
  server = await startFixtureServer("both");
  gateway = await startTestGateway([httpServer("s", server.url)]);
});
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.close()));
  await gateway.close();
  await server.close();
});

/** A legacy agent that answers what it is asked. */
async function connect(capabilities: object = EVERYTHING): Promise<Client> {
  const client = new Client({ name: "agent", version: "1" }, { capabilities });
  if ("elicitation" in capabilities) {
    client.setRequestHandler("elicitation/create", ({ params }) => ({
      action: "accept",
      content: { username: params.message, email: "a@example.org" },
    }));
  }
  if ("sampling" in capabilities) {
    client.setRequestHandler("sampling/createMessage", () => ({
      model: "m",
      role: "assistant",
      content: { type: "text", text: "sampled" },
    }));
  }
  const headers = { Authorization: `Bearer ${ALICE}` };
  const transport = new StreamableHTTPClientTransport(new URL(`${gateway.url}/mcp`), { requestInit: { headers } });
  await client.connect(transport);
  clients.push(client);
  return client;
}

async function textOf(client: Client, name: string, args: Record<string, unknown> = {}): Promise<string> {
  return JSON.stringify((await client.callTool({ name, arguments: args })).content);
}

describe("a legacy agent of a server that serves both eras", () => {
  it("is asked by its own session at the server, each question with a decision and an outcome of its own", async () => {
    const client = await connect();
    expect(await textOf(client, "test_elicitation", { message: "who" })).toContain("who");
    expect(await textOf(client, "test_sampling", { prompt: "p" })).toContain("sampled");
    const { calls, outcomes } = gateway.pipeline;
    expect(calls.map(({ target }) => target.kind)).toEqual(["tool", "elicit", "tool", "sample"]);
    expect(calls.every(({ upstream }) => upstream.era === "legacy")).toBe(true);
    expect(outcomes.map(({ status, effect }) => [status, effect])).toEqual(
      Array.from({ length: 4 }, () => ["ok", "done"]),
    );
    const [answer] = outcomes;
    expect(JSON.parse(Buffer.from(answer?.received ?? []).toString("utf8")).result.action).toBe("accept");
  });

  it("is not asked what it did not declare, and not what a policy denies", async () => {
    const silent = await connect({});
    expect(await textOf(silent, "test_elicitation", { message: "who" })).not.toContain("accept");
    gateway.pipeline.policy = ({ target }) => (target.kind === "elicit" ? DENIED : undefined);
    const client = await connect();
    expect(await textOf(client, "test_elicitation", { message: "who" })).toContain("Deleting is not allowed here.");
  });

  it("gets log messages of its calls, at the level that it set", async () => {
    const client = await connect();
    const seen: unknown[] = [];
    client.setNotificationHandler("notifications/message", ({ params }) => void seen.push(params.data));
    await client.callTool({ name: "test_tool_with_logging", arguments: {} });
    expect(seen).toHaveLength(3);
    await client.setLoggingLevel("error");
    await client.callTool({ name: "test_tool_with_logging", arguments: {} });
    expect(seen).toHaveLength(3);
  });

  it("is told of changes of the resources that it subscribed to, and its sessions end with its own", async () => {
    const client = await connect();
    const updated = new Promise<string>((resolve) => {
      client.setNotificationHandler("notifications/resources/updated", ({ params }) => resolve(params.uri));
    });
    const uri = "test://watched-resource";
    await client.subscribeResource({ uri });
    expect(gateway.pipeline.calls.at(-1)?.target).toEqual({ kind: "subscribe", name: uri });
    // The server's stream is there some time behind the first call.
    const timer = setInterval(server.touchWatched, 20);
    expect(await updated).toBe(uri);
    clearInterval(timer);
    await client.unsubscribeResource({ uri });
    expect(server.sessions()).toBe(1);
    const { transport } = client;
    if (transport instanceof StreamableHTTPClientTransport) await transport.terminateSession();
    await expect.poll(server.sessions).toBe(0);
  });

  it("gets the answer of a call whose stream the server closed before", async () => {
    expect(await textOf(await connect(), "test_reconnection")).toContain("completed successfully");
  });
});
