/** A tool call of a modern agent over HTTP, by the token that gateways of tests take. */

import type { JsonObject } from "../../kernel/json/value.ts";
import { AGENT_TOKEN } from "./gateway-run.ts";

/** @param url  of the gateway */
export function callTool(url: string, name: string, args: JsonObject): Promise<Response> {
  const _meta = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
  };
  const params = { name, arguments: args, _meta };
  return fetch(`${url}/mcp`, {
    method: "POST",
    headers: {
      authorization: `Bearer ${AGENT_TOKEN}`,
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
      "mcp-protocol-version": "2026-07-28",
      "mcp-method": "tools/call",
      "mcp-name": name,
    },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/call", params }),
  });
}
