/** An MCP server (2026-07-28, HTTP) that does what a scenario says, counts the calls that reach it and keeps their bytes. */

import type { ServerResponse } from "node:http";
import type { JsonObject, JsonValue } from "../../kernel/json/value.ts";
import {
  type ScriptedMessage,
  type ScriptedServer,
  type ServerCertificate,
  sendJson,
  startScriptedServer,
} from "../support/mcp-scripted.ts";

/** A tool and what a call of it answers. */
export interface HostileTool {
  readonly name: string;
  readonly description?: string;
  readonly inputSchema?: JsonObject;
  readonly outputSchema?: JsonObject;
  readonly annotations?: JsonObject;
  /** Default: one text, `done`. */
  readonly answer?: (argument: JsonObject) => JsonObject;
  /** True: a call is never answered. */
  readonly isSilent?: boolean;
}

/** The server and its counters. */
export interface HostileServer {
  readonly id: string;
  readonly url: string;
  /** U: calls of a tool that arrived; of all tools without a name. */
  readonly count: (tool?: string) => number;
  /** What arrived, as text: a canary in here has left the gateway. */
  readonly bytes: () => string;
  /** Headers of every request that arrived, as text: credentials that were handed on would be in here. */
  readonly headers: () => string;
  /** Lists the tools one a page from now on. */
  readonly page: () => void;
  /** Answers no list of its tools from now on. @returns answers those that wait, and from then on each */
  readonly holdLists: () => () => void;
  /** Lists that wait. */
  readonly held: () => number;
  /** Shows another certificate on connections from now on. */
  readonly show: (certificate: ServerCertificate) => void;
  /** Lists other definitions from now on. */
  readonly setTools: (tools: readonly HostileTool[]) => void;
  readonly close: () => Promise<void>;
}

/** What every hostile server says that it can. */
export const CAPABILITIES: JsonObject = { tools: { listChanged: true } };

/** Answers `tasks/get` and its like: the result; of `notifications/tasks` what is said to those who listen. */
export type AnswerTask = (method: string, taskId: string) => JsonObject;

/** A text result. */
export function textResult(text: string): JsonObject {
  return { content: [{ type: "text", text }] };
}

/** Starts one on the loopback. */
export async function startHostileServer(
  id: string,
  given: readonly HostileTool[],
  certificate?: ServerCertificate,
  tasks?: AnswerTask,
): Promise<HostileServer> {
  let tools = given;
  let isPaged = false;
  /** Lists that wait for their answer; undefined: none does. */
  let held: (() => void)[] | undefined;
  const calls: string[] = [];
  const seen: string[] = [];
  const headers: string[] = [];
  const server: ScriptedServer = await startScriptedServer((message, response, request) => {
    headers.push(...request.rawHeaders);
    if (message.method === "tools/call") {
      calls.push(String(message.params?.["name"]));
      seen.push(JSON.stringify(message));
      if (tools.some(({ name, isSilent }) => name === message.params?.["name"] && isSilent === true)) return;
    }
    const [listened] = taskIdsOf(message);
    if (tasks !== undefined && listened !== undefined)
      return tellTask(message, response, tasks("notifications/tasks", listened));
    const isTask = message.method?.startsWith("tasks/") === true;
    if (isTask) seen.push(JSON.stringify(message));
    const asked = isTask ? tasks?.(message.method ?? "", String(message.params?.["taskId"])) : undefined;
    const answer = (): void => {
      const result = asked ?? resultOf(message, tools, isPaged, tasks !== undefined);
      sendJson(response, { jsonrpc: "2.0", id: message.id, result });
    };
    if (held !== undefined && message.method === "tools/list") held.push(answer);
    else answer();
  }, certificate);
  return {
    id,
    url: server.url,
    count: (tool) => calls.filter((name) => tool === undefined || name === tool).length,
    page: () => {
      isPaged = true;
    },
    holdLists: () => {
      const waiting: (() => void)[] = [];
      held = waiting;
      return () => {
        held = undefined;
        for (const answer of waiting) answer();
      };
    },
    held: () => held?.length ?? 0,
    show: server.show,
    bytes: () => seen.join("\n"),
    headers: () => headers.join("\n"),
    setTools: (changed) => {
      tools = changed;
    },
    close: server.close,
  };
}

function taskIdsOf({ method, params }: ScriptedMessage): readonly string[] {
  const { notifications } = (params ?? {}) as { readonly notifications?: { readonly taskIds?: readonly string[] } };
  return method === "subscriptions/listen" ? (notifications?.taskIds ?? []) : [];
}

/** Takes the subscription, and says once where the task is. */
function tellTask({ id, params }: ScriptedMessage, response: ServerResponse, task: JsonObject): void {
  const tag = { _meta: { "io.modelcontextprotocol/subscriptionId": id } };
  const say = (method: string, said: object): void => {
    response.write(`data: ${JSON.stringify({ jsonrpc: "2.0", method, params: { ...said, ...tag } })}\n\n`);
  };
  response.writeHead(200, { "Content-Type": "text/event-stream" });
  say("notifications/subscriptions/acknowledged", { notifications: params?.["notifications"] });
  say("notifications/tasks", task);
}

function resultOf(
  { method, params }: ScriptedMessage,
  tools: readonly HostileTool[],
  isPaged: boolean,
  hasTasks: boolean,
): JsonObject {
  const complete = { resultType: "complete" };
  if (method === "server/discover") {
    const more = hasTasks ? { extensions: { "io.modelcontextprotocol/tasks": {} } } : {};
    return { ...complete, supportedVersions: ["2026-07-28"], capabilities: { ...CAPABILITIES, ...more } };
  }
  if (method === "tools/list" && isPaged) return { ...complete, ...pageOf(tools, Number(params?.["cursor"] ?? 0)) };
  if (method === "tools/list") return { ...complete, tools: tools.map(definitionOf) };
  const tool = tools.find(({ name }) => name === params?.["name"]);
  const argument = (params?.["arguments"] ?? {}) as JsonObject;
  return { ...complete, ...(tool?.answer?.(argument) ?? textResult("done")) };
}

function pageOf(tools: readonly HostileTool[], at: number): JsonObject {
  const next = at + 1 < tools.length ? { nextCursor: String(at + 1) } : {};
  return { tools: tools.slice(at, at + 1).map(definitionOf), ...next };
}

/** The definition as the server lists it. */
export function definitionOf({ answer: _, isSilent: __, ...definition }: HostileTool): JsonValue {
  const members = Object.entries({ inputSchema: { type: "object" }, ...definition });
  return Object.fromEntries(members.filter(([, value]) => value !== undefined)) as JsonObject;
}
