/**
 * A server over HTTP+SSE (2024-11-05), made with the official SDK's 1.x line, whose sessions are its streams. It is loaded by a name
 * that the compiler does not follow: the package's own sources would bring the types of browsers into every file of ours.
 */

import { createServer, type IncomingMessage, type ServerResponse } from "node:http";

/** A running server. */
export interface SseServer {
  readonly url: string;
  /** Streams that are open. */
  readonly streams: () => number;
  /** Breaks every stream. */
  readonly cut: () => void;
  readonly close: () => Promise<void>;
}

interface Transport {
  readonly sessionId: string;
  readonly handlePostMessage: (request: IncomingMessage, response: ServerResponse) => Promise<void>;
  readonly close: () => Promise<void>;
}

interface Extra {
  readonly sendRequest: (request: object, schema: object) => Promise<{ readonly action?: string }>;
}

interface OldServer {
  readonly connect: (transport: Transport) => Promise<void>;
  readonly sendToolListChanged: () => Promise<void>;
  readonly setRequestHandler: (schema: object, handler: (request: Request, extra: Extra) => object) => void;
}

interface Request {
  readonly params: { readonly name: string; readonly arguments?: object };
}

interface Modules {
  readonly Server: new (info: object, options: object) => OldServer;
  readonly SSEServerTransport: new (endpoint: string, response: ServerResponse) => Transport;
  readonly ListToolsRequestSchema: object;
  readonly CallToolRequestSchema: object;
  readonly ElicitResultSchema: object;
}

const PACKAGE: string = "@modelcontextprotocol/sdk";

async function load(): Promise<Modules> {
  const [server, sse, types]: readonly Modules[] = await Promise.all([
    import(`${PACKAGE}/server/index.js`),
    import(`${PACKAGE}/server/sse.js`),
    import(`${PACKAGE}/types.js`),
  ]);
  if (server === undefined || sse === undefined || types === undefined) throw new Error("no SDK");
  return { ...types, Server: server.Server, SSEServerTransport: sse.SSEServerTransport };
}

const TOOLS = ["count", "ask", "change"].map((name) => ({ name, inputSchema: { type: "object" } }));

/** Starts one: `count` counts the calls of its stream, `ask` asks its client, `change` says that its tools changed. */
export async function startSseServer(): Promise<SseServer> {
  const modules = await load();
  const transports = new Map<string, Transport>();
  const open = new Set<ServerResponse>();
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? "/", "http://localhost");
    if (request.method === "GET" && url.pathname === "/sse") {
      const transport = new modules.SSEServerTransport("/messages", response);
      transports.set(transport.sessionId, transport);
      open.add(response);
      response.once("close", () => open.delete(response));
      void makeServer(modules).connect(transport);
      return;
    }
    const transport = transports.get(url.searchParams.get("sessionId") ?? "");
    if (request.method !== "POST" || transport === undefined) return void response.writeHead(405).end();
    void transport.handlePostMessage(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return {
    url: `http://127.0.0.1:${port}/sse`,
    streams: () => open.size,
    cut: () => {
      for (const response of open) response.destroy();
      open.clear();
      transports.clear();
    },
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function makeServer({ Server, ListToolsRequestSchema, CallToolRequestSchema, ElicitResultSchema }: Modules): OldServer {
  const server = new Server({ name: "old", version: "1" }, { capabilities: { tools: { listChanged: true } } });
  let count = 0;
  server.setRequestHandler(ListToolsRequestSchema, () => ({ tools: TOOLS }));
  server.setRequestHandler(CallToolRequestSchema, async ({ params }, { sendRequest }) => {
    count += 1;
    let said = String(count);
    if (params.name === "ask") {
      const question = {
        message: "who",
        requestedSchema: { type: "object", properties: { name: { type: "string" } } },
      };
      said = (await sendRequest({ method: "elicitation/create", params: question }, ElicitResultSchema)).action ?? "";
    }
    if (params.name === "change") await server.sendToolListChanged();
    return { content: [{ type: "text", text: said }] };
  });
  return server;
}
