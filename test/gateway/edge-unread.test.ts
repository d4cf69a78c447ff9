import { once } from "node:events";
import { afterEach, describe, expect, it } from "vitest";
import { httpServer, startTestGateway, type TestGateway } from "../support/mcp-gateway.ts";
import { goodHeaders, open as openSocket, sendRaw } from "../support/mcp-raw.ts";
import { answerAsModern, sendJson, startScriptedServer } from "../support/mcp-scripted.ts";

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

const CLAIMS = '"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}';
const BODY = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t","arguments":{},"_meta":{${CLAIMS}}}}`;
const HEADERS = { "MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": "t" };

/** More than what sockets take on their own. */
const LARGE = "x".repeat(15 * 1024 * 1024);

async function start(): Promise<TestGateway> {
  const server = await startScriptedServer((message, response) => {
    if (answerAsModern(message, response)) return;
    const result = { resultType: "complete", content: [{ type: "text", text: LARGE }] };
    sendJson(response, { jsonrpc: "2.0", id: message.id, result });
  });
  closers.push(server.close);
  const gateway = await startTestGateway([httpServer("s", server.url)], { limits: { maxInFlightPerCaller: 1 } });
  closers.push(gateway.close);
  return gateway;
}

describe("an answer that its agent does not read", () => {
  it("keeps its place among the calls in flight until it is read, or its connection ends", async () => {
    const gateway = await start();
    for (const end of ["read", "end"] as const) {
      const socket = await openSocket(gateway.url);
      const named = Object.entries({ ...goodHeaders(gateway.url), ...HEADERS, "Content-Length": String(BODY.length) });
      socket.write(["POST /mcp HTTP/1.1", ...named.map(([name, value]) => `${name}: ${value}`), "", BODY].join("\r\n"));
      await once(socket, "readable");
      const refused = await sendRaw(gateway.url, { body: BODY, headers: HEADERS });
      expect(refused.json?.error?.data.reason).toBe("limit.in-flight");
      if (end === "read") socket.resume();
      else socket.destroy();
      const isFree = async (): Promise<boolean> =>
        (await sendRaw(gateway.url, { body: BODY, headers: HEADERS })).json?.error === undefined;
      await expect.poll(isFree, { timeout: 10_000 }).toBe(true);
      socket.destroy();
    }
  });
});
