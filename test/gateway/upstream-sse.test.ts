import { createServer, type ServerResponse } from "node:http";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { afterEach, describe, expect, it } from "vitest";
import { connectUpstream } from "../../gateway/upstream/upstream.ts";
import { codeFrom } from "../support/code-of.ts";
import { ALICE, httpServer, startTestGateway, type TestGateway, upstreamDeps } from "../support/mcp-gateway.ts";
import { type SseServer, startSseServer } from "../support/mcp-sse-server.ts";

const open: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

async function start(): Promise<{ server: SseServer; gateway: TestGateway }> {
  const server = await startSseServer();
  open.push(server.close);
  const gateway = await startTestGateway([httpServer("s", server.url)], { upstreamLimits: { relistenMs: 5 } });
  open.push(gateway.close);
  return { server, gateway };
}

async function agent({ url }: TestGateway, era: "modern" | "legacy"): Promise<Client> {
  const modern = { versionNegotiation: { mode: "auto" } } as const;
  const client = new Client(
    { name: "agent", version: "1" },
    { capabilities: { elicitation: {} }, ...(era === "modern" ? modern : {}) },
  );
  client.setRequestHandler("elicitation/create", () => ({ action: "accept", content: { name: "Ada" } }));
  const headers = { Authorization: `Bearer ${ALICE}` };
  await client.connect(new StreamableHTTPClientTransport(new URL(`${url}/mcp`), { requestInit: { headers } }));
  open.push(() => client.close());
  return client;
}

async function call(client: Client, name: string): Promise<unknown> {
  const { content } = await client.callTool({ name, arguments: {} });
  return Array.isArray(content) ? content.map((part) => (part.type === "text" ? part.text : "")).join() : content;
}

describe("a server of the SDK's 1.x line over HTTP+SSE", () => {
  it("is found when it takes no POST, and used by agents of both eras, each on a stream of its own", async () => {
    const { server, gateway } = await start();
    expect(server.streams()).toBe(1);
    const [one, two] = [await agent(gateway, "legacy"), await agent(gateway, "legacy")];
    const modern = await agent(gateway, "modern");
    expect((await modern.listTools()).tools.map(({ name }) => name)).toEqual(["count", "ask", "change"]);
    expect([await call(one, "count"), await call(one, "count"), await call(two, "count")]).toEqual(["1", "2", "1"]);
    expect(await call(modern, "count")).toBe("1");
    expect(server.streams()).toBe(4);
    const { upstream } = gateway.pipeline.calls.at(-1) ?? {};
    expect(upstream).toMatchObject({ transport: "http", era: "legacy" });
    const { transport } = one;
    if (transport instanceof StreamableHTTPClientTransport) await transport.terminateSession();
    await expect.poll(server.streams).toBe(3);
  });

  it("asks the agent whose stream it is, and its notices reach agents", async () => {
    const { gateway } = await start();
    const client = await agent(gateway, "legacy");
    expect(await call(client, "ask")).toBe("accept");
    expect(gateway.pipeline.calls.map(({ target }) => target.kind)).toEqual(["tool", "elicit"]);
    const changed = new Promise<void>((resolve) => {
      client.setNotificationHandler("notifications/tools/list_changed", () => resolve());
    });
    await call(client, "change");
    await changed;
  });

  it("that breaks its streams is connected to again, and calls go on in a new session", async () => {
    const { server, gateway } = await start();
    const client = await agent(gateway, "legacy");
    expect(await call(client, "count")).toBe("1");
    server.cut();
    await expect.poll(server.streams).toBe(2);
    expect(await call(client, "count")).toBe("1");
  });
});

/** A server that answers GET as told, and notes what is posted. */
async function scripted(
  onGet: (response: ServerResponse, port: number) => void,
): Promise<{ url: string; posted: string[] }> {
  const posted: string[] = [];
  const server = createServer((request, response) => {
    const address = server.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    if (request.method === "GET") return onGet(response, port);
    posted.push(request.url ?? "");
    response.writeHead(request.url === "/sse" ? 405 : 202).end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  open.push(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  const address = server.address();
  return { url: `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}/sse`, posted };
}

function stream(text: (port: number) => string): (response: ServerResponse, port: number) => void {
  return (response, port) => {
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    response.write(text(port));
  };
}

describe("a stream that is no HTTP+SSE of its server", () => {
  it.each([
    [
      "names an endpoint of another port",
      stream((port) => `event: endpoint\ndata: http://127.0.0.1:${port + 1}/m\n\n`),
    ],
    ["names an endpoint of another host", stream(() => "event: endpoint\ndata: http://localhost/m\n\n")],
    [
      "names an endpoint with a credential",
      stream((port) => `event: endpoint\ndata: http://a:b@127.0.0.1:${port}/m\n\n`),
    ],
    ["names no HTTP endpoint", stream(() => "event: endpoint\ndata: data:text/plain,x\n\n")],
    ["names too long an endpoint", stream(() => `event: endpoint\ndata: /${"m".repeat(2_048)}\n\n`)],
    ["begins with another event", stream(() => "data: /m\n\nevent: endpoint\ndata: /m\n\n")],
    ["is none", (response: ServerResponse): void => void response.writeHead(200).end("/m")],
  ])("%s is refused, and nothing is posted there", async (_what, onGet) => {
    const { url, posted } = await scripted(onGet);
    const connecting = connectUpstream(httpServer("s", url), upstreamDeps([], { connectMs: 2_000 }));
    expect(await codeFrom(connecting)).toBe("ERR_UPSTREAM");
    expect(new Set(posted)).toEqual(new Set(["/sse"]));
  });
});
