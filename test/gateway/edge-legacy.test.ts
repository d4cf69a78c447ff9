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

describe("a legacy agent of a server that is modern only", () => {
  let old: TestGateway;
  let modern: FixtureServer;

  beforeEach(async () => {
    modern = await startFixtureServer("modern");
    old = gateway;
    gateway = await startTestGateway([httpServer("s", modern.url)]);
  });
  afterEach(async () => {
    await Promise.all(clients.splice(0).map((client) => client.close()));
    await gateway.close();
    gateway = old;
    await modern.close();
  });

  it("is asked by requests what the server asks in rounds, and each round and question has its receipts", async () => {
    const client = await connect();
    client.setRequestHandler("elicitation/create", () => ({ action: "accept", content: { name: "Ada" } }));
    expect(await textOf(client, "test_input_required_result_elicitation")).toContain("Ada");
    const { calls, outcomes } = gateway.pipeline;
    expect(calls.map(({ target, round }) => [target.kind, round?.index])).toEqual([
      ["tool", undefined],
      ["elicit", undefined],
      ["tool", 1],
    ]);
    expect(outcomes.map(({ status }) => status)).toEqual(["input_required", "ok", "ok"]);
    const [, , last] = calls;
    expect(JSON.parse(Buffer.from(last?.toSend ?? []).toString("utf8")).params).toMatchObject({
      inputResponses: { user_name: { action: "accept", content: { name: "Ada" } } },
    });
    expect(last?.params["inputResponses"]).toMatchObject({ user_name: { action: "accept" } });
  });

  it("goes through several rounds, each with the server's own state", async () => {
    const client = await connect();
    client.setRequestHandler("elicitation/create", () => ({
      action: "accept",
      content: { name: "Ada", ok: true, confirm: true },
    }));
    await textOf(client, "test_input_required_result_multi_round");
    const rounds = gateway.pipeline.calls.flatMap(({ target, round }) => (target.kind === "tool" ? [round] : []));
    expect(rounds.map((round) => round?.index)).toEqual([undefined, 1, 2]);
    expect(new Set(rounds.slice(1).map((round) => round?.firstSeq)).size).toBe(1);
    expect(gateway.pipeline.outcomes.at(-1)?.status).toBe("ok");
  });

  it("is not asked what it did not declare, or what a policy denies, and the call ends", async () => {
    const silent = await connect({});
    await silent.callTool({ name: "test_input_required_result_elicitation", arguments: {} }).catch(() => undefined);
    expect(gateway.pipeline.calls.map(({ target }) => target.kind)).toEqual(["tool"]);
    gateway.pipeline.policy = ({ target }) => (target.kind === "elicit" ? DENIED : undefined);
    const client = await connect();
    const denied = client.callTool({ name: "test_input_required_result_elicitation", arguments: {} });
    await expect(denied).rejects.toThrow("not answered");
    expect(gateway.pipeline.calls.map(({ target }) => target.kind)).toEqual(["tool", "tool", "elicit"]);
  });
});
