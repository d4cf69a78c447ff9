/** The fastest MCP server (2026-07-28) that a gateway can stand before: bare node:http, one tool, one answer. */

import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

const TOOL = {
  name: "echo",
  description: "Says it again.",
  inputSchema: {
    type: "object",
    properties: { message: { type: "string" }, count: { type: "integer" }, urgent: { type: "boolean" } },
    required: ["message"],
  },
};
const RESULTS: Readonly<Record<string, object>> = {
  "server/discover": { supportedVersions: ["2026-07-28"], capabilities: { tools: {} } },
  "tools/list": { tools: [TOOL] },
  "tools/call": {
    content: [{ type: "text", text: "The order of 12 chairs has been placed; it arrives in three days." }],
  },
};

function answer(text: string, response: ServerResponse): void {
  const { id, method }: { readonly id?: unknown; readonly method: string } = JSON.parse(text);
  const result = { resultType: "complete", ...RESULTS[method] };
  const body = JSON.stringify({ jsonrpc: "2.0", id, result });
  response.writeHead(200, { "content-type": "application/json", "content-length": Buffer.byteLength(body) }).end(body);
}

const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("end", () => answer(Buffer.concat(chunks).toString("utf8"), response));
});
server.listen(0, "127.0.0.1", () => {
  const { port } = server.address() as AddressInfo;
  console.log(JSON.stringify({ url: `http://127.0.0.1:${port}/mcp` }));
});
