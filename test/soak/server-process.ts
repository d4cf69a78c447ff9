/**
 * The MCP server (2026-07-28) of the soak, in a process of its own: answers at once, late, in a stream, at length, never; and
 * not at all while it hangs. It counts the calls that reach it.
 *
 *     POST /hang, POST /go      from now on nothing is answered; or everything is again
 *     GET /counts               calls that arrived, by tool
 */

import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { TOOL_NAMES, type ToolName } from "./tools.ts";

interface Message {
  readonly id?: unknown;
  readonly method: string;
  readonly params?: { readonly name?: string; readonly _meta?: { readonly progressToken?: string | number } };
}

const LATE_MS = 1_500;
const STEPS = 3;
const STEP_MS = 60;
const LARGE_TEXT = "The order of 12 chairs has been placed; it arrives in three days. ".repeat(6_000);
const INPUT = { type: "object", properties: { message: { type: "string" } } };

const counts = new Map<string, number>(TOOL_NAMES.map((name) => [name, 0]));
const state = { hangs: false };

function answer(request: IncomingMessage, text: string, response: ServerResponse): void {
  if (request.url === "/counts") return void sendJson(response, Object.fromEntries(counts));
  if (request.url === "/hang" || request.url === "/go") {
    state.hangs = request.url === "/hang";
    return void sendJson(response, {});
  }
  const message: Message = JSON.parse(text);
  if (message.method === "tools/call") return void call(message, response);
  if (message.id === undefined) return void response.writeHead(202).end();
  sendResult(response, message, RESULTS[message.method] ?? {});
}

const RESULTS: Readonly<Record<string, object>> = {
  "server/discover": { supportedVersions: ["2026-07-28"], capabilities: { tools: {} } },
  "tools/list": {
    tools: TOOL_NAMES.map((name) => ({ name, description: `Orders chairs, way ${name}.`, inputSchema: INPUT })),
  },
};

function call(message: Message, response: ServerResponse): void {
  const name = TOOL_NAMES.find((tool) => tool === message.params?.name);
  if (name === undefined) return void sendResult(response, message, textResult("no such tool"));
  counts.set(name, (counts.get(name) ?? 0) + 1);
  if (!state.hangs) WAYS[name](message, response);
}

const WAYS: Readonly<Record<ToolName, (message: Message, response: ServerResponse) => void>> = {
  echo: (message, response) => sendResult(response, message, textResult("ordered")),
  late: (message, response) => {
    setTimeout(() => sendResult(response, message, textResult("ordered late")), LATE_MS);
  },
  large: (message, response) => sendResult(response, message, textResult(LARGE_TEXT)),
  steps: (message, response) => void inSteps(message, response),
  cut: (message, response) => {
    setTimeout(() => sendResult(response, message, textResult("ordered")), STEP_MS);
  },
  forbidden: (message, response) => sendResult(response, message, textResult("this must not have been called")),
};

/** Progress as events, then the result. */
async function inSteps(message: Message, response: ServerResponse): Promise<void> {
  const progressToken = message.params?._meta?.progressToken;
  response.writeHead(200, { "content-type": "text/event-stream" });
  for (let progress = 1; progress <= STEPS && progressToken !== undefined; progress += 1) {
    const params = { progressToken, progress, total: STEPS };
    response.write(event({ jsonrpc: "2.0", method: "notifications/progress", params }));
    await new Promise((resolve) => setTimeout(resolve, STEP_MS));
  }
  response.end(event(resultOf(message, textResult("ordered in steps"))));
}

function event(value: object): string {
  return `event: message\ndata: ${JSON.stringify(value)}\n\n`;
}

function textResult(text: string): object {
  return { content: [{ type: "text", text }] };
}

function resultOf({ id }: Message, result: object): object {
  return { jsonrpc: "2.0", id, result: { resultType: "complete", ...result } };
}

function sendResult(response: ServerResponse, message: Message, result: object): void {
  sendJson(response, resultOf(message, result));
}

function sendJson(response: ServerResponse, value: object): void {
  if (response.destroyed) return;
  const body = JSON.stringify(value);
  response.writeHead(200, { "content-type": "application/json", "content-length": Buffer.byteLength(body) }).end(body);
}

const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("end", () => answer(request, Buffer.concat(chunks).toString("utf8"), response));
});
server.listen(0, "127.0.0.1", () => {
  const { port } = server.address() as AddressInfo;
  console.log(JSON.stringify({ url: `http://127.0.0.1:${port}` }));
});
