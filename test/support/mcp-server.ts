/** A real MCP server over HTTP, made with the official SDK, that counts what reaches it. */

import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from "node:http";
import { NodeStreamableHTTPServerTransport, toNodeHandler } from "@modelcontextprotocol/node";
import { createMcpHandler, fromJsonSchema, McpServer } from "@modelcontextprotocol/server";

/** How the server speaks: both eras by themselves, or one of them. */
export type ServerEra = "modern" | "sessions";

/** A running server. */
export interface CountingServer {
  readonly url: string;
  /** Calls of each tool. */
  readonly calls: ReadonlyMap<string, number>;
  /** Headers of every request, in order. */
  readonly headers: readonly IncomingHttpHeaders[];
  /** Resolves when a call of the tool `wait` has begun; the call ends when it is aborted. */
  readonly waiting: () => Promise<void>;
  /** How many calls of `wait` were aborted. */
  readonly aborted: () => number;
  /** Forgets every legacy session. */
  readonly forget: () => void;
  readonly close: () => Promise<void>;
}

/** Starts one on the loopback. */
export async function startCountingServer(era: ServerEra): Promise<CountingServer> {
  const calls = new Map<string, number>();
  const headers: IncomingHttpHeaders[] = [];
  const waiters: (() => void)[] = [];
  const state = { aborted: 0, started: 0 };
  const count = (name: string): void => void calls.set(name, (calls.get(name) ?? 0) + 1);
  const onWait = (): void => {
    state.started += 1;
    for (const resolve of waiters.splice(0)) resolve();
  };
  const onAbort = (): void => {
    state.aborted += 1;
  };
  const makeServer = (): McpServer => toolServer(count, onWait, onAbort);
  const sessions = new Map<string, NodeStreamableHTTPServerTransport>();
  const handler = toNodeHandler(createMcpHandler(makeServer, { legacy: "reject" }));
  const server = createServer((request, response) => {
    headers.push(request.headers);
    const { method = "POST", url = "/" } = request;
    if (era === "modern") void handler(Object.assign(request, { method, url }), response);
    else void serveSession(sessions, makeServer, request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return {
    url: `http://127.0.0.1:${port}/mcp`,
    calls,
    headers,
    waiting: () => (state.started > 0 ? Promise.resolve() : new Promise((resolve) => waiters.push(resolve))),
    aborted: () => state.aborted,
    forget: () => sessions.clear(),
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function serveSession(
  sessions: Map<string, NodeStreamableHTTPServerTransport>,
  makeServer: () => McpServer,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const id = request.headers["mcp-session-id"];
  const known = typeof id === "string" ? sessions.get(id) : undefined;
  if (typeof id === "string" && known === undefined) {
    response.writeHead(404).end();
    return;
  }
  const transport =
    known ??
    new NodeStreamableHTTPServerTransport({
      sessionIdGenerator: () => crypto.randomUUID(),
      onsessioninitialized: (sessionId) => void sessions.set(sessionId, transport),
    });
  if (known === undefined) await makeServer().connect(transport);
  await transport.handleRequest(request, response);
}

/** Made once: the transport of the modern era makes a server for each request. */
const MESSAGE = fromJsonSchema<{ message: string }>({
  type: "object",
  properties: { message: { type: "string" } },
  required: ["message"],
});

function toolServer(count: (name: string) => void, onWait: () => void, onAbort: () => void): McpServer {
  const server = new McpServer({ name: "counting", version: "1.0.0" }, { instructions: "Count everything." });
  const text = (value: string): { content: { type: "text"; text: string }[] } => ({
    content: [{ type: "text", text: value }],
  });
  server.registerTool(
    "echo",
    {
      description: "Says it again",
      inputSchema: MESSAGE,
    },
    ({ message }) => {
      count("echo");
      return text(message);
    },
  );
  server.registerTool("fail", { description: "Fails" }, () => {
    count("fail");
    return { ...text("it failed"), isError: true };
  });
  server.registerTool("remove", { description: "Removes" }, () => {
    count("remove");
    return text("removed");
  });
  server.registerTool("steps", { description: "Reports progress" }, async (ctx) => {
    count("steps");
    const token = ctx.mcpReq._meta?.progressToken;
    for (const progress of [0, 50, 100]) {
      if (token !== undefined) {
        await ctx.mcpReq.notify({
          method: "notifications/progress",
          params: { progressToken: token, progress, total: 100 },
        });
      }
    }
    return text("stepped");
  });
  server.registerTool("wait", { description: "Waits until it is aborted" }, async (ctx) => {
    count("wait");
    onWait();
    await new Promise<void>((resolve) => ctx.mcpReq.signal.addEventListener("abort", () => resolve()));
    onAbort();
    return text("aborted");
  });
  server.registerResource("fixed", "test://fixed", { mimeType: "text/plain" }, (uri) => ({
    contents: [{ uri: uri.href, mimeType: "text/plain", text: "fixed text" }],
  }));
  server.registerPrompt("greet", { description: "Greets" }, () => ({
    messages: [{ role: "user", content: { type: "text", text: "Hello" } }],
  }));
  return server;
}
