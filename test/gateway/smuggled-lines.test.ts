/**
 * A server over stdio reads lines. JSON may have line ends between its tokens, so a message of an agent that is passed on as it
 * came is several lines there, each a message of its own that nobody has decided. Also what a server says to a host over stdio.
 */

import { PassThrough } from "node:stream";
import { afterEach, describe, expect, it } from "vitest";
import { runStdioEdge } from "../../gateway/edge/stdio-edge.ts";
import { startChild } from "../../gateway/upstream/child.ts";
import type { StdioUpstreamConfig } from "../../gateway/upstream/upstream-config.ts";
import { DEFAULT_UPSTREAM_LIMITS } from "../../gateway/upstream/upstream-limits.ts";
import { formatUtf8 } from "../../kernel/bytes.ts";
import { localCaller, makeWire, startTestGateway, type TestGateway } from "../support/mcp-gateway.ts";
import { RawLegacyAgent } from "../support/raw-legacy-agent.ts";

const open: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

/** A call that no agent was let make, on a line of its own inside of another message. */
const SMUGGLED = '{"jsonrpc":"2.0","id":99,"method":"tools/call","params":{"name":"t","arguments":{"smuggled":true}}}';
const ENDS = ["\n", "\r", "\r\n"];

/**
 * A child that reads lines as servers do: one that is no JSON is answered with an error, and it goes on. A carriage return ends a
 * line, too, as in text streams of Node and Python. Its tool `t` says which arguments it was called with so far, and that roots
 * changed; it asks first if `ask` is among them.
 */
function server(
  era: "modern" | "legacy",
  definition = '{"name":"t","inputSchema":{"type":"object"}}',
): StdioUpstreamConfig {
  const program = `
    const send = (value) => process.stdout.write(JSON.stringify({ jsonrpc: "2.0", ...value }) + "\\n");
    const isModern = ${JSON.stringify(era)} === "modern";
    const seen = [];
    let asked;
    const seenSoFar = (id) => send({ id, result: { resultType: "complete", content: [{ type: "text", text: JSON.stringify(seen) }] } });
    const call = ({ id, params }) => {
      seen.push(params.arguments);
      const question = { method: "elicitation/create", params: { message: "who", requestedSchema: { type: "object", properties: {} } } };
      if (!params.arguments.ask || params.inputResponses) return seenSoFar(id);
      if (isModern) return send({ id, result: { resultType: "input_required", inputRequests: { q: question } } });
      asked = id;
      send({ id: "q", ...question });
    };
    const take = (message) => {
      const { id, method } = message;
      if (method === "initialize") return send({ id, result: { protocolVersion: "2025-11-25", capabilities: { tools: {} }, serverInfo: { name: "c", version: "1" } } });
      if (method === "server/discover" && isModern) return send({ id, result: { resultType: "complete", supportedVersions: ["2026-07-28"], capabilities: { tools: {} } } });
      if (method === "tools/list") return process.stdout.write('{"jsonrpc":"2.0","id":' + id + ',"result":{"tools":[' + ${JSON.stringify(definition)} + "]}}\\n");
      if (method === "tools/call") return call(message);
      if (method === "notifications/roots/list_changed") return void seen.push({ roots: message.params ?? null });
      if (id === "q") return seenSoFar(asked);
      if (id !== undefined && method !== undefined) send({ id, error: { code: -32601, message: "no" } });
    };
    require("node:readline").createInterface({ input: process.stdin, crlfDelay: 0 }).on("line", (line) => {
      let message;
      try { message = JSON.parse(line); } catch { return send({ id: null, error: { code: -32700, message: "no JSON" } }); }
      take(message);
    });`;
  const args = ["-c", 'exec "$0" "$@"', process.execPath, "-e", program];
  return { transport: "stdio", id: "s", command: "/bin/sh", args, env: {}, attributes: {}, per_session: 4 };
}

async function start(era: "modern" | "legacy"): Promise<TestGateway> {
  const gateway = await startTestGateway([server(era)], { upstreamLimits: { stopMs: 100 } });
  open.push(gateway.close);
  return gateway;
}

/** A legacy agent that writes its messages itself. */
class Agent extends RawLegacyAgent {
  override async shakeHands(capabilities: string): Promise<Response> {
    const response = await super.shakeHands(capabilities);
    expect(response.status).toBe(200);
    await response.text();
    return response;
  }

  /** @returns the arguments of every call that the server has had */
  async seen(args: object, answer?: string): Promise<unknown> {
    const params = { name: "t", arguments: args };
    const response = await this.post(JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/call", params }));
    if (answer === undefined) return seenIn(await response.text());
    let text = "";
    for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
      const before = text;
      text += chunk;
      const id = /"id":(\d+),"method":"elicitation\/create"/u.exec(text)?.[1];
      if (id !== undefined && !before.includes("elicitation/create")) {
        await (await this.post(`{"jsonrpc":"2.0","id":${id},"result":${answer}}`)).text();
      }
    }
    return seenIn(text);
  }
}

function seenIn(text: string): unknown {
  const json = text
    .split("\n")
    .map((line) => line.replace(/^data: /u, ""))
    .filter((line) => line.includes('"content"'))
    .at(-1);
  return JSON.parse(JSON.parse(json ?? "null").result.content[0].text);
}

describe.each(ENDS)("a message of an agent with %j in it is one line at a server over stdio", (end) => {
  const nested = `{"x":${end}${SMUGGLED}${end}}`;

  it("where it is what the agent declares of itself", async () => {
    const gateway = await start("legacy");
    const agent = new Agent(gateway);
    await agent.shakeHands(`{"roots":${nested}}`);
    expect(await agent.seen({ own: true })).toEqual([{ own: true }]);
    expect(gateway.pipeline.calls.length).toBe(1);
  });

  it("where it is the answer to a question of the server's", async () => {
    const gateway = await start("legacy");
    const agent = new Agent(gateway);
    await agent.shakeHands('{"elicitation":{}}');
    expect(await agent.seen({ ask: true }, `{"action":"accept","content":${nested}}`)).toEqual([{ ask: true }]);
    expect(await agent.seen({ own: true })).toEqual([{ ask: true }, { own: true }]);
    // What is committed to is what was sent.
    expect(gateway.pipeline.outcomes.flatMap(({ returned }) => [...(returned ?? [])]).includes(10)).toBe(false);
  });

  it("where it is an answer that goes with the next round of a call", async () => {
    const gateway = await start("modern");
    const agent = new Agent(gateway);
    await agent.shakeHands('{"elicitation":{}}');
    const seen = await agent.seen({ ask: true }, `{"action":"accept","content":${nested}}`);
    expect(seen).toEqual([{ ask: true }, { ask: true }]);
    expect(await agent.seen({ own: true })).toEqual([{ ask: true }, { ask: true }, { own: true }]);
  });

  it("where it says that the agent's roots changed, of which servers are told in other words", async () => {
    const gateway = await start("legacy");
    const agent = new Agent(gateway);
    await agent.shakeHands('{"roots":{}}');
    await agent.seen({ own: 1 });
    const notice = `{"jsonrpc":"2.0","method":"notifications/roots/list_changed","params":${nested}}`;
    expect((await agent.post(notice)).status).toBe(202);
    expect(await agent.seen({ own: 2 })).toEqual([{ own: 1 }, { roots: null }, { own: 2 }]);
  });
});

describe("a child", () => {
  it.each(ENDS)("is sent nothing that has %j in it, whoever asks", async (end) => {
    const lines: string[] = [];
    const child = startChild({
      executable: "/bin/cat",
      args: [],
      env: {},
      cwd: undefined,
      limits: DEFAULT_UPSTREAM_LIMITS,
      onLine: (line) => void lines.push(Buffer.from(line).toString()),
      onOversize: () => undefined,
      onExit: () => undefined,
    });
    open.push(child.stop);
    expect(child.send(formatUtf8(`{}${end}{}`))).toBe(false);
    expect(child.send(formatUtf8("{}"))).toBe(true);
    await expect.poll(() => lines).toEqual(["{}"]);
  });
});

describe("a host over stdio", () => {
  async function host(config: StdioUpstreamConfig): Promise<{ write: (line: string) => void; lines: () => string[] }> {
    const wire = await makeWire([config], [], { stopMs: 100 });
    open.push(wire.close);
    const [input, output, stop] = [new PassThrough(), new PassThrough(), new AbortController()];
    const ended = runStdioEdge({ ...wire.options, input, output, caller: localCaller("local"), signal: stop.signal });
    open.push(async () => {
      stop.abort();
      await ended;
    });
    let text = "";
    output.on("data", (chunk) => {
      text += String(chunk);
    });
    const write = (line: string): void => void input.write(`${line}\n`);
    const params = {
      protocolVersion: "2025-11-25",
      capabilities: { roots: {} },
      clientInfo: { name: "h", version: "1" },
    };
    write(JSON.stringify({ jsonrpc: "2.0", id: 1, method: "initialize", params }));
    return { write, lines: () => text.split(/[\r\n]/u).filter((line) => line !== "") };
  }

  it("has each definition of a list on one line, however its server writes it", async () => {
    const { write, lines } = await host(server("legacy", '{"name":"t",\r"inputSchema":{"type":"object"}}'));
    write('{"jsonrpc":"2.0","id":2,"method":"tools/list"}');
    await expect.poll(() => lines().length).toBe(2);
    expect(JSON.parse(lines()[1] ?? "").result.tools).toEqual([{ name: "t", inputSchema: { type: "object" } }]);
  });

  it("tells its servers, too, that its roots changed", async () => {
    const { write, lines } = await host(server("legacy"));
    const called = (id: number): void =>
      write(`{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":"t","arguments":{}}}`);
    called(2);
    await expect.poll(() => lines().length).toBe(2);
    write(`{"jsonrpc":"2.0","method":"notifications/roots/list_changed","params":{"x":\r${SMUGGLED}\r}}`);
    called(3);
    await expect.poll(() => lines().length).toBe(3);
    expect(seenIn(lines()[2] ?? "")).toEqual([{}, { roots: null }, {}]);
  });
});
