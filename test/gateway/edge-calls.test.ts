import { once } from "node:events";
import { request as httpRequest } from "node:http";
import { connect } from "node:net";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { afterEach, describe, expect, it } from "vitest";
import { ALICE, everythingServer, httpServer, startTestGateway, type TestGateway } from "../support/mcp-gateway.ts";
import { DENIED } from "../support/mcp-pipeline.ts";
import { type RawAnswer, sendRaw } from "../support/mcp-raw.ts";
import { answerAsModern, scriptedChild, sendJson, sendText, startScriptedServer } from "../support/mcp-scripted.ts";
import { startCountingServer } from "../support/mcp-server.ts";

const META =
  '"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}';
const ECHO =
  "send({ id: message.id, result: { content: [{ type: 'text', text: JSON.stringify(message.params.arguments) }] } });";

const open: { close: () => Promise<void> }[] = [];
afterEach(async () => {
  for (const item of open.splice(0).reverse()) await item.close();
});

async function gatewayBefore(...args: Parameters<typeof startTestGateway>): Promise<TestGateway> {
  const gateway = await startTestGateway(...args);
  open.push(gateway);
  return gateway;
}

function callBody(name: string, args = "{}", id = "1"): string {
  return `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":"${name}","arguments":${args},${META}}}`;
}

function callHeaders(name: string): Record<string, string> {
  return { "MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": name };
}

function call(gateway: TestGateway, name: string, args?: string, id?: string, path = "/mcp"): Promise<RawAnswer> {
  return sendRaw(gateway.url, { path, body: callBody(name, args, id), headers: callHeaders(name) });
}

describe("a call", () => {
  it("is forwarded byte for byte but for its id, and its receipts have both bytes", async () => {
    const gateway = await gatewayBefore([scriptedChild("s", ECHO)]);
    const args = '{ "b" : 1.50, "a":"\\u0041" , "é":[ ] }';
    const answer = await call(gateway, "t", args, '"call-1"');
    expect(answer.status).toBe(200);
    const [seen] = gateway.pipeline.calls;
    const text = Buffer.from(seen?.received ?? []).toString("utf8");
    expect(text).toBe(callBody("t", args, '"call-1"'));
    const sent = Buffer.from(seen?.toSend ?? []).toString("utf8");
    expect(sent).toContain(`"params":{"name":"t","arguments":${args},"_meta":{}}`);
    expect(seen).toMatchObject({
      serverId: "s",
      target: { kind: "tool", name: "t" },
      wire: { id: "call-1", name: "t" },
    });
    const [outcome] = gateway.pipeline.outcomes;
    expect(outcome).toMatchObject({ status: "ok", effect: "done", uninspectedBytes: 0 });
    expect(Buffer.from(outcome?.returned ?? []).toString("utf8")).toBe(answer.body);
    expect(Buffer.from(outcome?.received ?? []).toString("utf8")).toContain(`"id":${JSON.parse(sent).id}`);
  });

  it('whose id is used again is another call, and 1 is not "1"', async () => {
    const gateway = await gatewayBefore([scriptedChild("s", ECHO)]);
    const ids = ["1", '"1"', "1", '"1"'];
    const answers = await Promise.all(ids.map((id, i) => call(gateway, "t", `{"n":${i}}`, id)));
    expect(
      answers.map(({ body }) => [JSON.stringify(JSON.parse(body).id), JSON.parse(body).result.content[0].text]),
    ).toEqual(ids.map((id, i) => [id, `{"n":${i}}`]));
    expect(gateway.pipeline.calls).toHaveLength(4);
    expect(new Set(answers.map(({ headers }) => headers["countersign-receipt"])).size).toBe(4);
  });

  it("counts the bytes that nobody reads", async () => {
    const media = `send({ id: message.id, result: { content: [
      { type: "image", data: "iVBO", mimeType: "image/png" }, { type: "audio", data: "iVA=", mimeType: "audio/wav" },
      { type: "resource", resource: { uri: "x:y", blob: "iQ==" } }, { type: "image", data: "QUJD", mimeType: "image/png" }, { type: "text", text: "iVBO" }] } });`;
    const gateway = await gatewayBefore([scriptedChild("s", media)]);
    await call(gateway, "t");
    expect(gateway.pipeline.outcomes[0]?.uninspectedBytes).toBe(3 + 2 + 1);
  });

  it("is not sent without a decision receipt, and not answered without an outcome receipt", async () => {
    const server = await startCountingServer("modern");
    open.push(server);
    const gateway = await gatewayBefore([httpServer("counting", server.url)]);
    gateway.pipeline.decideFails = true;
    const unsent = await call(gateway, "echo", '{"message":"secret answer"}');
    expect(unsent.json?.error).toMatchObject({ code: -32603, data: { reason: "receipt.unavailable" } });
    expect(server.calls.get("echo") ?? 0).toBe(0);
    gateway.pipeline.decideFails = false;
    gateway.pipeline.finishFails = true;
    const withheld = await call(gateway, "echo", '{"message":"secret answer"}');
    expect(withheld.json?.error).toMatchObject({ code: -32603, data: { reason: "receipt.unavailable" } });
    expect(withheld.body).not.toContain("secret answer");
    expect(server.calls.get("echo")).toBe(1);
  });

  it("that is denied is a result for a tool, and an error for everything else and every other code", async () => {
    const server = await startCountingServer("modern");
    open.push(server);
    const gateway = await gatewayBefore([httpServer("counting", server.url)]);
    gateway.pipeline.policy = () => DENIED;
    const tool = JSON.parse((await call(gateway, "remove")).body);
    expect(tool.result).toMatchObject({
      resultType: "complete",
      isError: true,
      _meta: { "countersign/reason": "policy.forbid" },
    });
    const body = `{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"test://fixed",${META}}}`;
    const headers = {
      "MCP-Protocol-Version": "2026-07-28",
      "Mcp-Method": "resources/read",
      "Mcp-Name": "test://fixed",
    };
    const read = await sendRaw(gateway.url, { body, headers });
    expect(read.json?.error).toMatchObject({
      code: -31001,
      data: { reason: "policy.forbid", policies: ["no-deletes"] },
    });
    gateway.pipeline.policy = () => ({ ...DENIED, rpcCode: -31003, reason: "definition.changed" });
    expect((await call(gateway, "remove")).json?.error).toMatchObject({
      code: -31003,
      data: { reason: "definition.changed" },
    });
    expect(server.calls.size).toBe(0);
  });

  it("whose server asks for input or makes a task ends as a protocol violation", async () => {
    const results = [
      { resultType: "input_required", inputRequests: { a: { method: "roots/list" } } },
      { resultType: "input_required", inputRequests: {} },
      { resultType: "task" },
      { resultType: "other" },
    ];
    const server = await startScriptedServer((message, response) => {
      if (!answerAsModern(message, response))
        sendJson(response, { jsonrpc: "2.0", id: message.id, result: results.shift() });
    });
    open.push(server);
    const gateway = await gatewayBefore([httpServer("s", server.url)]);
    const reasons = [];
    for (let i = 0; i < 4; i += 1) reasons.push((await call(gateway, "t")).json?.error?.data.reason);
    expect(reasons).toEqual(["upstream.undeclared-input", ...Array.from({ length: 3 }, () => "upstream.protocol")]);
    expect(gateway.pipeline.outcomes.map(({ status, effect }) => [status, effect])).toEqual(
      Array.from({ length: 4 }, () => ["upstream_error", "unknown"]),
    );
  });

  it("keeps a server's error, and its own words for a server that is gone", async () => {
    const source = `if (message.params.arguments.die) process.exit(1); send({ id: message.id, error: { code: -32050, message: "mine" } });`;
    const gateway = await gatewayBefore([scriptedChild("s", source)]);
    expect((await call(gateway, "t")).json?.error).toEqual({ code: -32050, message: "mine" });
    expect(gateway.pipeline.outcomes[0]).toMatchObject({ status: "rpc_error", rpcCode: -32050, effect: "unknown" });
    expect((await call(gateway, "t", '{"die":true}')).json?.error).toMatchObject({
      code: -32603,
      data: { reason: "upstream.closed" },
    });
    expect(gateway.pipeline.outcomes[1]).toMatchObject({ status: "upstream_error", effect: "unknown" });
  });

  it("of a modern agent that goes away is aborted at the server and recorded as cancelled", async () => {
    const server = await startCountingServer("modern");
    open.push(server);
    const gateway = await gatewayBefore([httpServer("counting", server.url)]);
    const body = callBody("wait");
    const request = httpRequest(`${gateway.url}/mcp`, {
      method: "POST",
      headers: {
        "Content-Type": "application/json",
        Accept: "application/json, text/event-stream",
        Authorization: `Bearer ${ALICE}`,
        ...callHeaders("wait"),
      },
    });
    request.on("error", () => undefined);
    request.end(body);
    await server.waiting();
    const closed = new Promise((resolve) => request.once("close", resolve));
    request.destroy();
    await closed;
    await expect.poll(() => gateway.pipeline.outcomes).toMatchObject([{ status: "cancelled", effect: "unknown" }]);
    await expect.poll(() => server.aborted()).toBe(1);
  });

  it("of a legacy session ends by its cancellation, and with its session", async () => {
    const server = await startCountingServer("sessions");
    open.push(server);
    const gateway = await gatewayBefore([httpServer("counting", server.url)]);
    const initialize =
      '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"raw","version":"1"}}}';
    const headers = { "Mcp-Session-Id": (await sendRaw(gateway.url, { body: initialize })).headers["mcp-session-id"] };
    const wait = (id: string): Promise<RawAnswer> =>
      sendRaw(gateway.url, {
        body: `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":"wait"}}`,
        headers,
      });
    const first = wait("7");
    await server.waiting();
    const cancel = (id: string): Promise<RawAnswer> =>
      sendRaw(gateway.url, {
        body: `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":${id}}}`,
        headers,
      });
    await cancel('"7"');
    expect(gateway.pipeline.outcomes).toEqual([]);
    expect((await cancel("7")).status).toBe(202);
    expect((await first).json?.error?.data.reason).toBe("client.cancelled");
    await expect.poll(() => server.aborted()).toBe(1);
    const second = wait("8");
    await expect.poll(() => server.calls.get("wait")).toBe(2);
    expect((await sendRaw(gateway.url, { method: "DELETE", headers })).status).toBe(204);
    expect((await second).json?.error?.data.reason).toBe("client.cancelled");
    // Sealed when the last outcome is kept, not before.
    await expect.poll(() => gateway.pipeline.sealed).toMatchObject([{ reason: "ended" }]);
    expect(gateway.pipeline.outcomes.map(({ status }) => status)).toEqual(["cancelled", "cancelled"]);
  });

  it("above the bound of calls in flight is refused", async () => {
    const server = await startCountingServer("modern");
    open.push(server);
    const limits = { maxInFlightPerCaller: 1, closeMs: 50 };
    const gateway = await gatewayBefore([httpServer("counting", server.url)], { limits });
    const waiting = call(gateway, "wait").catch(() => undefined);
    await server.waiting();
    const refused = await call(gateway, "echo", '{"message":"x"}');
    expect(refused.json?.error).toMatchObject({ code: -31006, data: { reason: "limit.in-flight", retryAfterMs: 250 } });
    await gateway.close();
    open.pop();
    await waiting;
  });

  it("in flight ends before the edge is closed, and a late one is cut", async () => {
    const source = "setTimeout(() => send({ id: message.id, result: { content: [] } }), message.params.arguments.ms);";
    const gateway = await gatewayBefore([scriptedChild("s", source)], { limits: { closeMs: 2_000 } });
    const slow = call(gateway, "t", '{"ms":150}');
    await expect.poll(() => gateway.pipeline.calls.length).toBe(1);
    await gateway.close();
    open.pop();
    expect((await slow).status).toBe(200);
    expect(gateway.pipeline.outcomes).toMatchObject([{ status: "ok" }]);
  });

  it("that the close cuts off has its outcome before the edge is closed", async () => {
    const server = await startCountingServer("modern");
    open.push(server);
    const gateway = await gatewayBefore([httpServer("counting", server.url)], { limits: { closeMs: 50 } });
    const cut = call(gateway, "wait").catch(() => undefined);
    await server.waiting();
    await gateway.closeEdge();
    expect(gateway.pipeline.outcomes).toMatchObject([{ status: "cancelled", effect: "unknown" }]);
    await cut;
  });

  it("in flight or none: a connection that never sent a request does not hold the close", async () => {
    const server = await startCountingServer("modern");
    open.push(server);
    const gateway = await gatewayBefore([httpServer("counting", server.url)], { limits: { closeMs: 60_000 } });
    const { port, hostname } = new URL(gateway.url);
    const silent = connect(Number(port), hostname);
    const begun = connect(Number(port), hostname);
    await Promise.all([once(silent, "connect"), once(begun, "connect")]);
    begun.write("POST /mcp HTTP/1.1\r\nhost:");
    // Taken by now: the server answers on a connection that was opened after them.
    expect((await call(gateway, "echo", '{"message":"x"}')).status).toBe(200);
    const ended = Promise.all(
      [silent, begun].map((socket) => new Promise((end) => socket.on("error", () => undefined).once("close", end))),
    );
    await gateway.close();
    open.pop();
    await ended;
  });

  it("carries no request of its server to the agent, and leaves a receipt of it", async () => {
    const server = await startScriptedServer((message, response) => {
      if (answerAsModern(message, response)) return;
      if (message.method === undefined) return void response.writeHead(202).end();
      const asked = '{"jsonrpc":"2.0","id":"s1","method":"elicitation/create","params":{}}';
      const result = `{"jsonrpc":"2.0","id":${message.id},"result":{"content":[]}}`;
      sendText(response, `data: ${asked}\n\ndata: ${result}\n\n`, "text/event-stream");
    });
    open.push(server);
    const gateway = await gatewayBefore([httpServer("s", server.url)]);
    const answer = await call(gateway, "t");
    expect(answer.body).not.toContain("elicitation");
    expect(gateway.pipeline.refusals).toMatchObject([
      { reason: "bridge.unsupported", serverId: "s", wire: { method: "elicitation/create" } },
    ]);
  });
});

describe("a tool whose headers break the rules", () => {
  it("is neither listed nor callable", async () => {
    const bad = { name: "bad", inputSchema: { properties: { a: { type: "object", "x-mcp-header": "A" } } } };
    const server = await startScriptedServer((message, response) => {
      if (message.method !== "tools/list") return void answerAsModern(message, response);
      sendJson(response, {
        jsonrpc: "2.0",
        id: message.id,
        result: { resultType: "complete", tools: [bad, { name: "t" }] },
      });
    });
    open.push(server);
    const gateway = await gatewayBefore([httpServer("s", server.url)]);
    const body = `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{${META}}}`;
    const headers = { "MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/list" };
    const { tools } = JSON.parse((await sendRaw(gateway.url, { body, headers })).body).result;
    expect(tools).toEqual([{ name: "t" }]);
    expect((await call(gateway, "bad")).json?.error).toMatchObject({ code: -32602, data: { reason: "name.unknown" } });
  });
});

describe("several servers behind one endpoint", () => {
  it("are told apart by their prefix, and each has a mount of its own", async () => {
    const gateway = await gatewayBefore([scriptedChild("one", ECHO), scriptedChild("two", ECHO), everythingServer()]);
    const list = async (path: string, method: string): Promise<string[]> => {
      const body = `{"jsonrpc":"2.0","id":1,"method":"${method}","params":{${META}}}`;
      const headers = { "MCP-Protocol-Version": "2026-07-28", "Mcp-Method": method };
      const { result } = JSON.parse((await sendRaw(gateway.url, { path, body, headers })).body);
      return (result.tools ?? result.resources).map((item: { name: string; uri?: string }) => item.uri ?? item.name);
    };
    expect(await list("/mcp", "tools/list")).toEqual(expect.arrayContaining(["one__t", "two__t", "everything__echo"]));
    expect(await list("/s/one/mcp", "tools/list")).toEqual(["t"]);
    const uri = (await list("/mcp", "resources/list"))[0] ?? "";
    await call(gateway, "two__t");
    await call(gateway, "t", "{}", "1", "/s/one/mcp");
    expect(gateway.pipeline.calls.map(({ serverId, target }) => [serverId, target.name])).toEqual([
      ["two", "t"],
      ["one", "t"],
    ]);
    expect((await call(gateway, "three__t")).json?.error?.data.reason).toBe("name.unknown");
    expect((await call(gateway, "t")).json?.error?.data.reason).toBe("name.unknown");
    const read = (name: string): Promise<RawAnswer> =>
      sendRaw(gateway.url, {
        body: `{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"${name}",${META}}}`,
        headers: { "MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "resources/read", "Mcp-Name": name },
      });
    expect(JSON.parse((await read(uri)).body).result).toMatchObject({ resultType: "complete", ttlMs: 0 });
    expect((await read("nowhere://x")).json?.error).toMatchObject({
      code: -32602,
      data: { reason: "resource.unknown" },
    });
    const own = `countersign://everything/${encodeURIComponent(uri)}`;
    expect(JSON.parse((await read(own)).body).result.contents).toHaveLength(1);
  });

  it("lose none of 200 calls at once, each on a connection of its own, all with one id", async () => {
    const gateway = await gatewayBefore([scriptedChild("one", ECHO), scriptedChild("two", ECHO)]);
    const names = Array.from({ length: 200 }, (_, i) => (i % 2 === 0 ? "one__t" : "two__t"));
    const answers = await Promise.all(names.map((name, i) => call(gateway, name, `{"i":${i}}`, "1")));
    expect(answers.map(({ body }) => JSON.parse(body).result.content[0].text)).toEqual(
      names.map((_, i) => `{"i":${i}}`),
    );
    expect(gateway.pipeline.outcomes).toHaveLength(200);
  });

  it("lose none of 200 calls at once of one session", async () => {
    const gateway = await gatewayBefore([scriptedChild("one", ECHO), scriptedChild("two", ECHO)]);
    const client = new Client({ name: "agent", version: "1" });
    const requestInit = { headers: { Authorization: `Bearer ${ALICE}` } };
    await client.connect(new StreamableHTTPClientTransport(new URL(`${gateway.url}/mcp`), { requestInit }));
    const answers = await Promise.all(
      Array.from({ length: 200 }, (_, i) => client.callTool({ name: "two__t", arguments: { i } })),
    );
    expect(answers.map(({ content }) => content)).toEqual(
      answers.map((_, i) => [{ type: "text", text: `{"i":${i}}` }]),
    );
    await client.close();
  });
});
