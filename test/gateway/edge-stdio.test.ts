import { PassThrough } from "node:stream";
import { afterEach, describe, expect, it } from "vitest";
import type { EdgeLimits } from "../../gateway/edge/edge-options.ts";
import { runStdioEdge } from "../../gateway/edge/stdio-edge.ts";
import { everythingServer, localCaller, makeWire } from "../support/mcp-gateway.ts";
import { DENIED, type FakePipeline } from "../support/mcp-pipeline.ts";
import { scriptedChild } from "../support/mcp-scripted.ts";

const META =
  '"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}';
const INITIALIZE =
  '{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"raw","version":"1"}}}';
const ECHO =
  "send({ id: message.id, result: { content: [{ type: 'text', text: JSON.stringify(message.params.arguments) }] } });";

const open: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

interface Pipe {
  readonly pipeline: FakePipeline;
  readonly send: (line: string) => void;
  /** The next line that the edge wrote, as JSON. */
  readonly next: () => Promise<{ readonly [member: string]: unknown }>;
  readonly end: () => Promise<void>;
  readonly abort: () => Promise<void>;
}

async function pipeBefore(config: Parameters<typeof makeWire>[0], limits: Partial<EdgeLimits> = {}): Promise<Pipe> {
  const wire = await makeWire(config, []);
  open.push(wire.close);
  const [input, output, stop] = [new PassThrough(), new PassThrough(), new AbortController()];
  const lines = output.setEncoding("utf8")[Symbol.asyncIterator]();
  let rest = "";
  const next = async (): Promise<{ readonly [member: string]: unknown }> => {
    while (!rest.includes("\n")) {
      const step = await lines.next();
      if (step.done === true) throw new Error("the edge wrote no more");
      rest += step.value;
    }
    const line = rest.slice(0, rest.indexOf("\n"));
    rest = rest.slice(line.length + 1);
    return JSON.parse(line);
  };
  const running = runStdioEdge({
    ...wire.options,
    limits,
    input,
    output,
    caller: localCaller("1000"),
    signal: stop.signal,
  });
  return {
    pipeline: wire.pipeline,
    send: (line) => void input.write(`${line}\n`),
    next,
    end: async () => {
      input.end();
      await running;
    },
    abort: async () => {
      stop.abort();
      await running;
    },
  };
}

function call(id: string, args = "{}", meta = ""): string {
  return `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":"t","arguments":${args}${meta}}}`;
}

describe("the edge over stdio", () => {
  it("serves legacy and modern requests on one pipe, as one session minted by the gateway", async () => {
    const pipe = await pipeBefore([scriptedChild("s", ECHO)]);
    pipe.send(call("1"));
    expect(await pipe.next()).toMatchObject({ id: 1, error: { code: -32600, data: { reason: "session.required" } } });
    pipe.send(INITIALIZE);
    expect(await pipe.next()).toMatchObject({
      id: 0,
      result: { protocolVersion: "2025-11-25", capabilities: { tools: {} } },
    });
    pipe.send('{"jsonrpc":"2.0","method":"notifications/initialized"}');
    pipe.send('{"jsonrpc":"2.0","id":"l","method":"tools/list"}');
    expect(await pipe.next()).toMatchObject({ id: "l", result: { tools: [{ name: "t" }] } });
    pipe.send(call("2", '{"a":1}'));
    expect(await pipe.next()).toEqual({
      jsonrpc: "2.0",
      id: 2,
      result: { content: [{ type: "text", text: '{"a":1}' }] },
    });
    pipe.send(call("3", '{"a":2}', `,${META}`));
    expect(await pipe.next()).toMatchObject({ id: 3, result: { resultType: "complete" } });
    await pipe.end();
    expect(pipe.pipeline.calls.map(({ wire }) => [wire.transport, wire.era])).toEqual([
      ["stdio", "legacy"],
      ["stdio", "modern"],
    ]);
    const keys = new Set(pipe.pipeline.calls.map(({ session }) => JSON.stringify(session)));
    expect(keys.size).toBe(1);
    expect(pipe.pipeline.calls[0]?.session).toMatchObject({ source: "launcher", trust: "gateway-minted" });
    expect(pipe.pipeline.sealed).toMatchObject([{ reason: "exit" }]);
  });

  it("refuses lines that have no one meaning, and lines that are too long, and goes on", async () => {
    const pipe = await pipeBefore([scriptedChild("s", ECHO)], { maxBodyBytes: 1_000 });
    pipe.send("{");
    expect(await pipe.next()).toEqual({
      jsonrpc: "2.0",
      error: {
        code: -32700,
        message: expect.any(String),
        data: { reason: "json.syntax", "countersign/reason": "json.syntax", receipt: expect.any(String) },
      },
    });
    pipe.send(call("1", `{"a":"${"x".repeat(2_000)}"}`));
    expect(await pipe.next()).toMatchObject({ error: { data: { reason: "json.size" } } });
    pipe.send('{"jsonrpc":"2.0","id":1,"result":{}}');
    expect(await pipe.next()).toMatchObject({ error: { data: { reason: "rpc.shape" } } });
    pipe.send(INITIALIZE.replace('"capabilities":{},', ""));
    expect(await pipe.next()).toMatchObject({ id: 0, error: { code: -32602 } });
    pipe.send(INITIALIZE);
    expect(await pipe.next()).toMatchObject({ id: 0, result: {} });
    pipe.send('{"jsonrpc":"2.0","method":"notifications/message"}');
    pipe.send('{"jsonrpc":"2.0","id":9,"method":"ping"}');
    expect(await pipe.next()).toEqual({ jsonrpc: "2.0", id: 9, result: {} });
    await pipe.end();
    expect(pipe.pipeline.refusals.map(({ reason }) => reason)).toEqual([
      "json.syntax",
      "json.size",
      "rpc.shape",
      "rpc.shape",
      "mcp.notification-refused",
    ]);
  });

  it("reads no more from an agent that does not read, and loses nothing when it reads again", async () => {
    const wire = await makeWire([scriptedChild("s", ECHO)], []);
    open.push(wire.close);
    const [input, output] = [new PassThrough(), new PassThrough()];
    const caller = localCaller("1000");
    const running = runStdioEdge({ ...wire.options, input, output, caller, signal: new AbortController().signal });
    input.write(`${INITIALIZE}\n`);
    const count = 2_000;
    const padding = "x".repeat(200);
    for (let i = 0; i < count; i += 1) input.write(`{"jsonrpc":"2.0","id":"${padding}${i}","method":"ping"}\n`);
    await expect.poll(() => input.isPaused()).toBe(true);
    let text = "";
    output.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk;
    });
    await expect.poll(() => text.split("\n").length, { timeout: 30_000 }).toBe(count + 2);
    const ids = text
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line).id);
    expect(new Set(ids).size).toBe(count + 1);
    input.end();
    await running;
  });

  it("denies as HTTP does, and passes progress of the reference server in order", async () => {
    const pipe = await pipeBefore([everythingServer()]);
    pipe.send(INITIALIZE);
    await pipe.next();
    pipe.pipeline.policy = ({ target }) => (target.name === "get-sum" ? DENIED : undefined);
    pipe.send('{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get-sum","arguments":{"a":1,"b":2}}}');
    expect(await pipe.next()).toMatchObject({
      id: 1,
      result: { isError: true, _meta: { "countersign/reason": "policy.forbid" } },
    });
    const params =
      '{"name":"trigger-long-running-operation","arguments":{"duration":0.2,"steps":2},"_meta":{"progressToken":"p"}}';
    pipe.send(`{"jsonrpc":"2.0","id":2,"method":"tools/call","params":${params}}`);
    const seen = [await pipe.next(), await pipe.next(), await pipe.next()];
    expect(seen).toMatchObject([
      { method: "notifications/progress", params: { progressToken: "p", progress: 1 } },
      { method: "notifications/progress", params: { progressToken: "p", progress: 2 } },
      { id: 2, result: {} },
    ]);
    await pipe.end();
  });

  it("cancels a call by its id, and lets calls in flight end before it closes", async () => {
    const source =
      "if (message.params.arguments.ms) setTimeout(() => send({ id: message.id, result: { content: [] } }), message.params.arguments.ms);";
    const pipe = await pipeBefore([scriptedChild("s", source)]);
    pipe.send(INITIALIZE);
    await pipe.next();
    pipe.send(call('"w"'));
    pipe.send('{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"w"}}');
    expect(await pipe.next()).toMatchObject({ id: "w", error: { code: -32603, data: { reason: "client.cancelled" } } });
    pipe.send(call("5", '{"ms":100}'));
    await pipe.end();
    expect(await pipe.next()).toMatchObject({ id: 5, result: { content: [] } });
    expect(pipe.pipeline.outcomes.map(({ status }) => status)).toEqual(["cancelled", "ok"]);
  });

  it("cuts calls that are late when it is told to stop, and keeps their outcome", async () => {
    const pipe = await pipeBefore([scriptedChild("s", "")], { closeMs: 50 });
    pipe.send(INITIALIZE);
    await pipe.next();
    pipe.send(call("1"));
    await expect.poll(() => pipe.pipeline.calls.length).toBe(1);
    await pipe.abort();
    expect(pipe.pipeline.outcomes).toMatchObject([{ status: "cancelled", effect: "unknown" }]);
  });

  it("answers a request that a fault of its own ends with an error that has its id, and goes on", async () => {
    const pipe = await pipeBefore([scriptedChild("s", ECHO)]);
    pipe.send(INITIALIZE);
    await pipe.next();
    const { decide } = pipe.pipeline;
    const fault = (): never => {
      throw new TypeError("a fault of the gateway's");
    };
    Object.assign(pipe.pipeline, { decide: fault });
    for (const id of ['"7"', "7"]) {
      pipe.send(call(id));
      const error = { code: -32603, data: { reason: "receipt.unavailable" } };
      expect(await pipe.next()).toMatchObject({ id: JSON.parse(id), error });
    }
    Object.assign(pipe.pipeline, { decide });
    pipe.send(call("8"));
    expect(await pipe.next()).toMatchObject({ id: 8, result: { content: [{ text: "{}" }] } });
    await pipe.end();
  });
});
