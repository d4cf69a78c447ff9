/**
 * The MCP server that the public conformance suite is run against, made with the official SDK: modern requests at one
 * handler, legacy ones in sessions with an event store, so that a stream can be taken up again. Loopback only.
 */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { NodeStreamableHTTPServerTransport, toNodeHandler } from "@modelcontextprotocol/node";
import {
  createMcpHandler,
  createRequestStateCodec,
  type EventStore,
  isLegacyRequest,
  type JSONRPCMessage,
  McpServer,
} from "@modelcontextprotocol/server";
import { registerAskingTools } from "./fixture-asking-tools.ts";
import { type FixtureEvents, type RoundState, registerInputTools } from "./fixture-input-tools.ts";
import { registerPrompts, registerResources, registerRest } from "./fixture-resources.ts";
import { registerTools } from "./fixture-tools.ts";

/** Which eras it serves. */
export type FixtureEras = "both" | "modern" | "legacy";

/** A running fixture. */
export interface FixtureServer {
  readonly url: string;
  /** Sessions that are open. */
  readonly sessions: () => number;
  /** Says in every open session, and to all who listen, that the watched resource changed. */
  readonly touchWatched: () => void;
  readonly close: () => Promise<void>;
}

interface Session {
  readonly transport: NodeStreamableHTTPServerTransport;
  readonly server: McpServer;
}

const STATE_KEY = "the-key-of-the-fixture-server-0123456789";
const WATCHED = "test://watched-resource";
const LOCAL = /^(?:localhost|127\.0\.0\.1|\[::1\])(?::\d+)?$/u;

/** Starts one on a free port of the loopback. */
export async function startFixtureServer(eras: FixtureEras = "both"): Promise<FixtureServer> {
  const sessions = new Map<string, Session>();
  const modern = createMcpHandler(() => makeServer(events, false), { legacy: "reject", keepAliveMs: 0 });
  const events: FixtureEvents = {
    toolsChanged: () => {
      modern.notify.toolsChanged();
      for (const { server } of sessions.values()) server.sendToolListChanged();
    },
    promptsChanged: () => {
      modern.notify.promptsChanged();
      for (const { server } of sessions.values()) server.sendPromptListChanged();
    },
  };
  const handler = toNodeHandler(modern);
  const server = createServer((request, response) => {
    const { method = "POST", url = "/", headers } = request;
    if (!isLocal(headers.host) || !isLocalOrigin(headers.origin)) return void response.writeHead(403).end();
    const serveModern = (body: unknown): Promise<void> =>
      handler(Object.assign(request, { method, url }), response, body);
    const serveLegacy = (body: unknown): Promise<void> =>
      serveSession(sessions, () => makeServer(events, true), request, response, body);
    void readJson(request).then(async (body) => {
      const isLegacy = eras === "both" ? await isLegacyBody(request, body) : eras === "legacy";
      await (isLegacy ? serveLegacy(body) : serveModern(body));
    });
  });
  const port = await listen(server);
  return {
    url: `http://127.0.0.1:${port}/mcp`,
    sessions: () => sessions.size,
    touchWatched: () => {
      modern.notify.resourceUpdated(WATCHED);
      for (const session of sessions.values()) void session.server.server.sendResourceUpdated({ uri: WATCHED });
    },
    close: async () => {
      await modern.close();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function makeServer(events: FixtureEvents, isSession: boolean): McpServer {
  const codec = createRequestStateCodec<RoundState>({ key: STATE_KEY });
  const server = new McpServer(
    { name: "fixture", version: "1.0.0" },
    {
      capabilities: {
        logging: {},
        completions: {},
        tools: { listChanged: true },
        prompts: { listChanged: true },
        resources: { listChanged: true, subscribe: true },
      },
      requestState: { verify: codec.verify },
    },
  );
  registerTools(server);
  registerAskingTools(server);
  registerInputTools(server, codec, events);
  registerResources(server);
  registerPrompts(server);
  registerRest(server, isSession);
  return server;
}

/** The body of a POST; undefined if it is no JSON, or if there is none. */
async function readJson(request: IncomingMessage): Promise<unknown> {
  if (request.method !== "POST") return undefined;
  const chunks: Buffer[] = [];
  for await (const chunk of request) if (chunk instanceof Buffer) chunks.push(chunk);
  try {
    return JSON.parse(Buffer.concat(chunks).toString("utf8"));
  } catch {
    return undefined;
  }
}

async function isLegacyBody({ method = "POST", headers, url = "/" }: IncomingMessage, body: unknown): Promise<boolean> {
  if (method !== "POST") return true;
  const pairs = Object.entries(headers).flatMap(([name, value]): [string, string][] =>
    typeof value === "string" ? [[name, value]] : [],
  );
  return isLegacyRequest(new Request(`http://localhost${url}`, { method, headers: pairs }), body);
}

async function serveSession(
  sessions: Map<string, Session>,
  make: () => McpServer,
  request: IncomingMessage,
  response: ServerResponse,
  body: unknown,
): Promise<void> {
  const id = request.headers["mcp-session-id"];
  const known = typeof id === "string" ? sessions.get(id) : undefined;
  if (typeof id === "string" && known === undefined) {
    response.writeHead(404).end();
    return;
  }
  const session = known ?? (await openSession(sessions, make()));
  await session.transport.handleRequest(request, response, body);
}

async function openSession(sessions: Map<string, Session>, server: McpServer): Promise<Session> {
  const transport = new NodeStreamableHTTPServerTransport({
    sessionIdGenerator: () => crypto.randomUUID(),
    onsessioninitialized: (sessionId) => void sessions.set(sessionId, { transport, server }),
    onsessionclosed: (sessionId) => void sessions.delete(sessionId),
    eventStore: new MemoryEvents(),
    retryInterval: 100,
  });
  await server.connect(transport);
  return { transport, server };
}

/** Events of one session, in the order in which they were stored. */
class MemoryEvents implements EventStore {
  readonly #events: { readonly streamId: string; readonly message: JSONRPCMessage }[] = [];

  storeEvent(streamId: string, message: JSONRPCMessage): Promise<string> {
    return Promise.resolve(String(this.#events.push({ streamId, message })));
  }

  getStreamIdForEventId(eventId: string): Promise<string | undefined> {
    return Promise.resolve(this.#events[Number(eventId) - 1]?.streamId);
  }

  async replayEventsAfter(
    lastEventId: string,
    { send }: { readonly send: (eventId: string, message: JSONRPCMessage) => Promise<void> },
  ): Promise<string> {
    const last = Number(lastEventId);
    const streamId = this.#events[last - 1]?.streamId ?? "";
    for (const [index, event] of this.#events.entries()) {
      // An event without a method and a result marks the stream's start, and is not sent again.
      if (index >= last && event.streamId === streamId) await send(String(index + 1), event.message);
    }
    return streamId;
  }
}

function isLocal(host: string | undefined): boolean {
  return host !== undefined && LOCAL.test(host);
}

function isLocalOrigin(origin: string | undefined): boolean {
  return origin === undefined || (URL.canParse(origin) && isLocal(new URL(origin).host));
}

function listen(server: Server): Promise<number> {
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      resolve(typeof address === "object" && address !== null ? address.port : 0);
    });
  });
}
