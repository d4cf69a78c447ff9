/** A modern server with the tasks extension, whose tasks do what a test says; and an agent's requests to a gateway in front of it. */

import type { ServerResponse } from "node:http";
import { ALICE } from "./mcp-gateway.ts";
import { type RawAnswer, sendRaw } from "./mcp-raw.ts";
import {
  answerAsModern,
  jsonText,
  type ScriptedMessage,
  type ScriptedServer,
  sendJson,
  startScriptedServer,
} from "./mcp-scripted.ts";

const EXTENSION = "io.modelcontextprotocol/tasks";
/** What an agent declares that takes tasks and answers questions. */
export const TASK_AGENT: string = JSON.stringify({ extensions: { [EXTENSION]: {}, "vendor/x": {} }, elicitation: {} });

/** A running server: `calls` answers `tools/call`, `tasks` answers the rest; the test replaces either. */
export interface TaskServer extends ScriptedServer {
  /** Says this of a task on each stream that listens to it, unasked. */
  readonly tell: (task: object, method?: string) => void;
  /** Breaks the streams that listen. */
  readonly breakListens: () => void;
  calls: (message: ScriptedMessage) => object;
  tasks: (message: ScriptedMessage) => object;
}

/** A task of this id as its server states it. */
export function stated(taskId: string, status: string, more: object = {}): object {
  const time = "2026-11-25T10:30:00Z";
  return { taskId, status, createdAt: time, lastUpdatedAt: time, ttlMs: 60_000, pollIntervalMs: 10, ...more };
}

/** Starts one whose `tools/call` makes the task `server-task-1`, and whose task works for ever. */
export async function startTaskServer(
  capabilities: object = { tools: {}, extensions: { [EXTENSION]: {} } },
): Promise<TaskServer> {
  const listens = new Map<number, ServerResponse>();
  const server = await startScriptedServer((message, response) => {
    const { id, method } = message;
    if (method === "server/discover") {
      const result = { resultType: "complete", supportedVersions: ["2026-07-28"], capabilities };
      sendJson(response, { jsonrpc: "2.0", id, result });
      return;
    }
    if (answerAsModern(message, response)) return;
    if (method === "subscriptions/listen") return acknowledge(listens, message, response);
    const answer = method === "tools/call" ? own.calls(message) : own.tasks(message);
    sendJson(
      response,
      "code" in answer ? { jsonrpc: "2.0", id, error: answer } : { jsonrpc: "2.0", id, result: answer },
    );
  });
  const own: TaskServer = Object.assign(server, {
    calls: () => ({ resultType: "task", ...stated("server-task-1", "working") }),
    tasks: () => ({ resultType: "complete", ...stated("server-task-1", "working") }),
    tell: (task: object, told = "notifications/tasks") => {
      for (const [id, response] of listens) say(response, id, told, task);
    },
    breakListens: () => {
      for (const response of listens.values()) response.destroy();
      listens.clear();
    },
  });
  return own;
}

function acknowledge(listens: Map<number, ServerResponse>, message: ScriptedMessage, response: ServerResponse): void {
  const { id = 0, params } = message;
  response.writeHead(200, { "Content-Type": "text/event-stream" });
  listens.set(id, response);
  response.on("close", () => void listens.delete(id));
  say(response, id, "notifications/subscriptions/acknowledged", { notifications: params?.["notifications"] });
}

function say(response: ServerResponse, id: number, method: string, params: object): void {
  const _meta = { "io.modelcontextprotocol/subscriptionId": id };
  response.write(`data: ${jsonText({ jsonrpc: "2.0", method, params: { ...params, _meta } })}\n\n`);
}

/** How a modern agent differs from alice, who takes tasks and answers questions. */
export interface ModernAgent {
  readonly token?: string;
  /** JSON text. */
  readonly capabilities?: string;
  /** More members of `_meta`. */
  readonly meta?: object;
}

/** What it claims of itself in `_meta` of each request. */
export function claimsOf({ capabilities = TASK_AGENT, meta = {} }: ModernAgent): object {
  return {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": JSON.parse(capabilities),
    ...meta,
  };
}

/** Its `Authorization`. */
export function credentialOf({ token = ALICE }: ModernAgent): string {
  return `Bearer ${token}`;
}

/** One request of a modern agent. */
export function askModern(
  url: string,
  method: string,
  params: Readonly<Record<string, unknown>>,
  agent: ModernAgent = {},
  path = "/mcp",
): Promise<RawAnswer> {
  const body = JSON.stringify({ jsonrpc: "2.0", id: "x", method, params: { ...params, _meta: claimsOf(agent) } });
  const name = String(params["name"] ?? params["taskId"] ?? "");
  const headers = { "MCP-Protocol-Version": "2026-07-28", "Mcp-Method": method, "Mcp-Name": name };
  return sendRaw(url, { path, body, headers: { ...headers, Authorization: credentialOf(agent) } });
}
