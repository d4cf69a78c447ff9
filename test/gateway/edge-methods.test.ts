/** Every method that reaches a server is decided first, and has an outcome; one that is denied reaches nothing. */

import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { httpServer, startTestGateway, type TestGateway } from "../support/mcp-gateway.ts";
import { DENIED } from "../support/mcp-pipeline.ts";
import { sendRaw } from "../support/mcp-raw.ts";
import { type ScriptedServer, sendJson, startScriptedServer } from "../support/mcp-scripted.ts";

const META =
  '"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}';

/** Method, the header that repeats its target, and its params. */
const FORWARDED: readonly (readonly [string, string | undefined, string])[] = [
  ["tools/call", "t", '"name":"t","arguments":{}'],
  ["prompts/get", "p", '"name":"p"'],
  ["resources/read", "test://fixed", '"uri":"test://fixed"'],
  ["completion/complete", undefined, '"ref":{"type":"ref/prompt","name":"p"},"argument":{"name":"a","value":"x"}'],
];
const RESULTS: Readonly<Record<string, object>> = {
  "server/discover": {
    supportedVersions: ["2026-07-28"],
    capabilities: { tools: {}, prompts: {}, resources: {}, completions: {} },
  },
  "tools/list": { tools: [{ name: "t", inputSchema: { type: "object" } }] },
  "prompts/list": { prompts: [{ name: "p", arguments: [{ name: "a" }] }] },
  "resources/list": { resources: [{ uri: "test://fixed", name: "fixed" }] },
  "resources/templates/list": { resourceTemplates: [] },
  "tools/call": { content: [] },
  "prompts/get": { messages: [] },
  "resources/read": { contents: [] },
  "completion/complete": { completion: { values: [] } },
};

let server: ScriptedServer;
let gateway: TestGateway;
beforeEach(async () => {
  server = await startScriptedServer(({ id, method }, response) => {
    const result = { resultType: "complete", ...RESULTS[method ?? ""] };
    sendJson(response, { jsonrpc: "2.0", id, result });
  });
  gateway = await startTestGateway([httpServer("s", server.url)]);
});
afterEach(async () => {
  await gateway.close();
  await server.close();
});

async function send([method, name, params]: (typeof FORWARDED)[number]): Promise<number> {
  const body = `{"jsonrpc":"2.0","id":1,"method":"${method}","params":{${params},${META}}}`;
  const target = name === undefined ? {} : { "Mcp-Name": name };
  const headers = { "MCP-Protocol-Version": "2026-07-28", "Mcp-Method": method, ...target };
  return (await sendRaw(gateway.url, { body, headers })).status;
}

const arrived = (method: string): number => server.messages.filter((message) => message.method === method).length;

describe("a method that reaches a server", () => {
  it.each(FORWARDED)("has a decision and an outcome: %s", async (method, name, params) => {
    expect(await send([method, name, params])).toBe(200);
    expect(gateway.pipeline.calls.map(({ wire }) => wire.method)).toEqual([method]);
    expect(gateway.pipeline.outcomes).toMatchObject([{ status: "ok", effect: "done" }]);
    expect(arrived(method)).toBe(1);
  });

  it.each(FORWARDED)("does not reach it when it is denied: %s", async (method, name, params) => {
    gateway.pipeline.policy = () => DENIED;
    await send([method, name, params]);
    expect(gateway.pipeline.calls).toHaveLength(1);
    expect(arrived(method)).toBe(0);
  });
});
