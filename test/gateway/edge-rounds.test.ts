import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ALICE, BOB, httpServer, startTestGateway, type TestGateway } from "../support/mcp-gateway.ts";
import { DENIED } from "../support/mcp-pipeline.ts";
import { type RawAnswer, sendRaw } from "../support/mcp-raw.ts";
import { answerAsModern, type ScriptedServer, sendJson, startScriptedServer } from "../support/mcp-scripted.ts";

const ELICIT = { method: "elicitation/create", params: { message: "Name?", requestedSchema: { type: "object" } } };
const URL_MODE = { method: "elicitation/create", params: { mode: "url", url: "https://example.org", message: "Go" } };
const SAMPLE = { method: "sampling/createMessage", params: { messages: [], maxTokens: 5 } };
const ROOTS = { method: "roots/list" };
const EVERYTHING = '{"elicitation":{"url":{}},"sampling":{},"roots":{},"vendor":{"x":1}}';

interface Given {
  readonly capabilities?: string;
  readonly params?: string;
  readonly token?: string;
  readonly name?: string;
  readonly args?: string;
  readonly meta?: string;
}

let server: ScriptedServer;
let gateway: TestGateway;
let next: (params: Readonly<Record<string, unknown>>) => object;
let now = 0;

beforeEach(async () => {
  next = () => ({ resultType: "input_required", inputRequests: { who: ELICIT }, requestState: "of-the-server" });
  server = await startScriptedServer((message, response) => {
    if (answerAsModern(message, response)) return;
    sendJson(response, { jsonrpc: "2.0", id: message.id, result: next(message.params ?? {}) });
  });
  now = 1_000_000;
  gateway = await startTestGateway([httpServer("s", server.url)], { nowMs: () => now });
});
afterEach(async () => {
  await gateway.close();
  await server.close();
});

function call(given: Given = {}): Promise<RawAnswer> {
  const { capabilities = EVERYTHING, params = "", token = ALICE, name = "t", args = '{"a":1}', meta = "" } = given;
  const claims = `"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":${capabilities}`;
  const body = `{"jsonrpc":"2.0","id":"x","method":"tools/call","params":{"name":"${name}","arguments":${args},"_meta":{${claims}${meta}}${params}}}`;
  const headers = { "MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": name };
  return sendRaw(gateway.url, { body, headers: { ...headers, Authorization: `Bearer ${token}` } });
}

async function stateOf(answer: Promise<RawAnswer>): Promise<string> {
  const { result } = JSON.parse((await answer).body);
  expect(result.resultType).toBe("input_required");
  return result.requestState;
}

function retry(state: string, given: Given = {}): Promise<RawAnswer> {
  const responses = ',"inputResponses":{"who":{"action":"accept","content":{"name":"Ada"}}}';
  return call({ ...given, params: `${responses},"requestState":${JSON.stringify(state)}` });
}

async function reasonOf(answer: Promise<RawAnswer>): Promise<string | undefined> {
  return (await answer).json?.error?.data.reason;
}

describe("a call whose server asks for input", () => {
  it("goes over two rounds, the server's state byte for byte and each round with receipts that name the first", async () => {
    const state = await stateOf(call());
    expect(state).toMatch(/^cs1\.[0-9a-f]{8}\.[A-Za-z0-9_-]+$/u);
    next = (params) => ({ resultType: "complete", content: [{ type: "text", text: JSON.stringify(params) }] });
    const answer = await retry(state);
    const sent = JSON.parse(JSON.parse(answer.body).result.content[0].text);
    expect(sent.requestState).toBe("of-the-server");
    expect(sent.inputResponses).toEqual({ who: { action: "accept", content: { name: "Ada" } } });
    const [first, question, second] = gateway.pipeline.calls;
    expect(first?.round).toBeUndefined();
    expect(question?.target).toEqual({ kind: "elicit", name: "elicitation/create" });
    expect(JSON.parse(Buffer.from(question?.toSend ?? []).toString("utf8"))).toEqual(ELICIT);
    expect(second?.round).toEqual({ index: 1, firstSeq: 0 });
    expect(gateway.pipeline.outcomes.map(({ status }) => status)).toEqual(["input_required", "input_required", "ok"]);
  });

  it("takes a round without a state of the server's, which the server then does not get", async () => {
    next = () => ({ resultType: "input_required", inputRequests: { who: ELICIT } });
    const state = await stateOf(call());
    next = (params) => ({ resultType: "complete", content: [], structuredContent: params });
    const { result } = JSON.parse((await retry(state)).body);
    expect(Object.keys(result.structuredContent)).toEqual(["name", "arguments", "_meta", "inputResponses"]);
  });

  it("declares to the server what the agent declared and the gateway carries, in the agent's bytes", async () => {
    next = (params) => ({ resultType: "complete", content: [], structuredContent: params["_meta"] });
    const seen = async (capabilities: string): Promise<unknown> => {
      const { result } = JSON.parse((await call({ capabilities })).body);
      return result.structuredContent["io.modelcontextprotocol/clientCapabilities"];
    };
    expect(await seen(EVERYTHING)).toEqual({ elicitation: { url: {} }, sampling: {}, roots: {} });
    expect(await seen("{}")).toEqual({});
    expect(await seen('{"roots":{"listChanged":true}}')).toEqual({ roots: { listChanged: true } });
  });

  it("ends if the server asks for what the agent did not declare", async () => {
    const cases = [
      ['{"elicitation":{}}', URL_MODE],
      ['{"elicitation":{}}', SAMPLE],
      ['{"sampling":{}}', ROOTS],
      ["{}", ELICIT],
    ] as const;
    for (const [capabilities, asked] of cases) {
      next = () => ({ resultType: "input_required", inputRequests: { asked } });
      expect(await reasonOf(call({ capabilities }))).toBe("upstream.undeclared-input");
    }
    next = () => ({ resultType: "input_required", inputRequests: { asked: { method: "tools/call" } } });
    expect(await reasonOf(call())).toBe("upstream.protocol");
    next = () => ({ resultType: "input_required", inputRequests: Object.fromEntries(many(17)) });
    expect(await reasonOf(call())).toBe("upstream.protocol");
    next = () => ({ resultType: "input_required", requestState: 7 });
    expect(await reasonOf(call())).toBe("upstream.protocol");
  });

  it("has an outcome also where a question's receipt cannot be kept", async () => {
    gateway.pipeline.policy = ({ target }) => {
      gateway.pipeline.decideFails = target.kind === "tool";
      return undefined;
    };
    const answer = await call();
    expect(answer.json?.error).toMatchObject({ code: -32603, data: { reason: "receipt.unavailable" } });
    expect(answer.body).not.toContain("Name?");
    expect(gateway.pipeline.abandoned).toEqual(["0"]);
    expect(gateway.pipeline.open.size).toBe(0);
  });

  it("ends if a policy denies the question, and the agent sees nothing of it", async () => {
    next = () => ({ resultType: "input_required", inputRequests: { a: ELICIT, b: SAMPLE } });
    gateway.pipeline.policy = ({ target }) => (target.kind === "sample" ? DENIED : undefined);
    const answer = await call();
    expect(answer.json?.error).toMatchObject({ code: -31001, data: { reason: "policy.forbid" } });
    expect(answer.body).not.toContain("Name?");
    expect(gateway.pipeline.outcomes.at(-1)).toMatchObject({ status: "blocked", effect: "unknown", rpcCode: -31001 });
  });
});

function many(count: number): [string, object][] {
  return Array.from({ length: count }, (_, i) => [`q${i}`, ELICIT]);
}

describe("the state of a round", () => {
  it("is good for the same caller's same request only", async () => {
    const state = await stateOf(call());
    const before = server.messages.length;
    const others: Given[] = [{ token: BOB }, { args: '{"a":2}' }, { meta: ',"threadId":"another"' }];
    for (const other of others) expect(await reasonOf(retry(state, other))).toBe("state.invalid");
    expect(server.messages.length).toBe(before);
    expect((await retry(state)).status).toBe(200);
    expect(server.messages.length).toBe(before + 1);
  });

  it("is refused with any one character changed, cut anywhere, from another gateway, and too late", async () => {
    const state = await stateOf(call());
    const before = server.messages.length;
    const damaged = [...state].flatMap((character, at) => [
      `${state.slice(0, at)}${character === "A" ? "B" : "A"}${state.slice(at + 1)}`,
      state.slice(0, at),
    ]);
    const tried = damaged.filter((_, index) => index % 5 === 0);
    for (const text of [...tried, `${state}=`, `${state}A`, "", "of-the-server"]) {
      expect(await reasonOf(retry(text))).toBe("state.invalid");
    }
    expect(await reasonOf(call({ params: ',"requestState":7' }))).toBe("state.invalid");
    now += 600_001;
    expect(await reasonOf(retry(state))).toBe("state.invalid");
    expect(server.messages.length).toBe(before);
  });

  it("ends behind ten further rounds", async () => {
    let state = await stateOf(call());
    for (let round = 1; round < 10; round += 1) state = await stateOf(retry(state));
    expect(await reasonOf(retry(state))).toBe("state.rounds");
    expect(gateway.pipeline.calls.at(-1)?.round).toEqual({ index: 10, firstSeq: 0 });
  });
});

describe("an error of a modern server", () => {
  it("has the HTTP status that the specification gives it", async () => {
    const codes = [-32020, -32021, -32022, -32601, -32602, -32050];
    const queue = [...codes];
    const failing = await startScriptedServer((message, response) => {
      if (answerAsModern(message, response)) return;
      sendJson(response, { jsonrpc: "2.0", id: message.id, error: { code: queue.shift(), message: "no" } }, 400);
    });
    const other = await startTestGateway([httpServer("s", failing.url)]);
    const statuses = [];
    const headers = { "MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": "t" };
    const meta =
      '"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}';
    const body = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t","_meta":{${meta}}}}`;
    for (const _ of codes) statuses.push((await sendRaw(other.url, { body, headers })).status);
    expect(statuses).toEqual([400, 400, 400, 404, 200, 200]);
    await other.close();
    await failing.close();
  });
});
