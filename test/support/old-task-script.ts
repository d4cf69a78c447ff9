/** A legacy server whose tool is a task that does exactly what a test says. */

import { type ScriptedMessage, type ScriptedServer, sendJson, startScriptedServer } from "./mcp-scripted.ts";

/**
 * Starts one over HTTP, without sessions, with the tool `t`.
 *
 * @param answers  results, or errors if they have a `code`
 */
export async function startTaskScript(
  support: string,
  answers: (message: ScriptedMessage) => object,
): Promise<ScriptedServer> {
  const tools = [{ name: "t", inputSchema: { type: "object" }, execution: { taskSupport: support } }];
  const capabilities = { tools: {}, tasks: { requests: { tools: { call: {} } } } };
  const serverInfo = { name: "hostile", version: "1" };
  return startScriptedServer((message, response) => {
    const { id, method } = message;
    if (id === undefined) return void response.writeHead(202).end();
    if (method === "server/discover") {
      return sendJson(response, { jsonrpc: "2.0", id, error: { code: -32601, message: "no such method" } });
    }
    const known = { initialize: { protocolVersion: "2025-11-25", capabilities, serverInfo }, "tools/list": { tools } };
    const result = Object.entries(known).find(([name]) => name === method)?.[1] ?? answers(message);
    sendJson(response, "code" in result ? { jsonrpc: "2.0", id, error: result } : { jsonrpc: "2.0", id, result });
  });
}
