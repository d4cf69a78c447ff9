/** Tasks between two eras: no agent sees one, and every call has its plain answer. */

import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { afterEach, describe, expect, it } from "vitest";
import type { PhantomAnswer } from "../../gateway/pipeline/call.ts";
import { ALICE, httpServer, startTestGateway, type TestGateway } from "../support/mcp-gateway.ts";
import { DENIED, type FakePipeline } from "../support/mcp-pipeline.ts";
import { sendRaw } from "../support/mcp-raw.ts";
import type { ScriptedMessage, ScriptedServer } from "../support/mcp-scripted.ts";
import { connectOldTaskClient, type OldTaskClient, startOldTaskServer } from "../support/old-task-peers.ts";
import { startTaskScript } from "../support/old-task-script.ts";
import { askModern, startTaskServer, stated, type TaskServer } from "../support/task-server.ts";

const DONE = { content: [{ type: "text", text: "done" }] };
const RELATED = "io.modelcontextprotocol/related-task";
const PROTOCOL = { error: { code: -32603, data: { reason: "upstream.protocol" } } };
const headers = { Authorization: `Bearer ${ALICE}` };

const open: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

async function gatewayTo(server: { readonly url: string; readonly close: () => Promise<void> }): Promise<TestGateway> {
  open.push(server.close);
  const gateway = await startTestGateway([httpServer("s", server.url)]);
  open.push(gateway.close);
  return gateway;
}

describe("a modern agent and a legacy tool that is a task only", () => {
  const task = (taskId: string, status: string): object => ({ taskId, status, ttl: null, pollInterval: 20 });
  let server: ScriptedServer;
  let gateway: TestGateway;
  /** What the server says to each request about the task, one after the other. */
  let says: object[] = [];

  async function start(support = "required"): Promise<void> {
    server = await startTaskScript(support, ({ method, params }: ScriptedMessage) => {
      if (method !== "tools/call") return says.shift() ?? task("one", "working");
      return params?.["task"] === undefined ? DONE : { task: task("one", "working") };
    });
    gateway = await gatewayTo(server);
  }

  function sent(method: string): readonly ScriptedMessage[] {
    return server.messages.filter((message) => message.method === method);
  }

  it("get along with SDK peers of both generations", async () => {
    const behind = await gatewayTo(await startOldTaskServer());
    const client = new Client({ name: "agent", version: "1" }, { versionNegotiation: { mode: "auto" } });
    await client.connect(new StreamableHTTPClientTransport(new URL(`${behind.url}/mcp`), { requestInit: { headers } }));
    open.push(() => client.close());
    expect(client.getServerCapabilities()).not.toHaveProperty("tasks");
    const answer = await askModern(behind.url, "tools/call", { name: "must", arguments: {} });
    expect(JSON.parse(answer.body).result).toEqual({
      resultType: "complete",
      content: [{ type: "text", text: "worked" }],
    });
    expect(behind.pipeline.calls.map(({ target }) => target.kind)).toEqual(["tool"]);
    expect(behind.pipeline.outcomes.map(({ status, effect }) => [status, effect])).toEqual([["ok", "done"]]);
    expect(await client.callTool({ name: "work", arguments: {} })).toMatchObject({
      content: [{ type: "text", text: "worked" }],
    });
  });

  it("have one call with one decision and one outcome, however often the server is asked where the task is", async () => {
    await start();
    says = [
      task("one", "working"),
      task("one", "completed"),
      { ...DONE, _meta: { [RELATED]: { taskId: "one" }, a: 1 } },
    ];
    const { json } = await askModern(gateway.url, "tools/call", { name: "t", arguments: {} });
    expect(json).toEqual({ jsonrpc: "2.0", id: "x", result: { resultType: "complete", ...DONE, _meta: { a: 1 } } });
    expect(sent("tools/call")[0]?.params).toMatchObject({ name: "t", task: {} });
    expect(["tasks/get", "tasks/result", "tasks/cancel"].map((method) => sent(method).length)).toEqual([2, 1, 0]);
    const { calls, outcomes } = gateway.pipeline;
    expect([calls.length, outcomes.map(({ status }) => status)]).toEqual([1, ["ok"]]);
  });

  it("have the server's error of a task that failed, and one of ours if it answers for another", async () => {
    await start();
    says = [task("one", "failed"), { code: -32000, message: "broken" }];
    const failed = await askModern(gateway.url, "tools/call", { name: "t", arguments: {} });
    expect(failed.json).toMatchObject({ error: { code: -32000, message: "broken" } });
    says = [task("two", "completed")];
    const other = await askModern(gateway.url, "tools/call", { name: "t", arguments: {} });
    expect(other.json).toMatchObject(PROTOCOL);
    expect(gateway.pipeline.outcomes.at(-1)).toMatchObject({ status: "upstream_error", effect: "unknown" });
    await expect.poll(() => sent("tasks/cancel")).toMatchObject([{ params: { taskId: "one" } }]);
  });

  it("end with the agent that goes away: the server is told, and the effect is unknown", async () => {
    await start();
    const abort = new AbortController();
    const meta = { "io.modelcontextprotocol/protocolVersion": "2026-07-28" };
    const capabilities = { "io.modelcontextprotocol/clientCapabilities": {} };
    const params = { name: "t", arguments: {}, _meta: { ...meta, ...capabilities } };
    const asked = fetch(`${gateway.url}/mcp`, {
      method: "POST",
      signal: abort.signal,
      headers: {
        ...headers,
        "Content-Type": "application/json",
        Accept: "application/json, text/event-stream",
        "MCP-Protocol-Version": "2026-07-28",
        "Mcp-Method": "tools/call",
        "Mcp-Name": "t",
      },
      body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/call", params }),
    });
    await expect.poll(() => sent("tasks/get").length).toBeGreaterThan(0);
    abort.abort();
    await expect(asked).rejects.toThrow();
    await expect.poll(() => sent("tasks/cancel").length).toBe(1);
    await expect.poll(() => gateway.pipeline.outcomes).toMatchObject([{ status: "cancelled", effect: "unknown" }]);
  });

  it("make no task of a tool that can do without, whatever the agent puts into its call", async () => {
    await start("optional");
    const { json } = await askModern(gateway.url, "tools/call", { name: "t", arguments: {}, task: { ttl: 1 } });
    expect(json).toMatchObject({ result: DONE });
    expect(sent("tools/call").map(({ params }) => params?.["task"])).toEqual([undefined]);
    expect(gateway.pipeline.calls[0]?.params["task"]).toBeUndefined();
    expect(gateway.pipeline.refusals).toEqual([]);
  });
});

const NEEDED = {
  code: -32021,
  message: "this takes a task",
  data: { requiredCapabilities: { extensions: { "io.modelcontextprotocol/tasks": {} } } },
};
const ELICIT = {
  method: "elicitation/create",
  params: { message: "Who?", requestedSchema: { type: "object", properties: { who: { type: "string" } } } },
};

describe("a legacy agent and a modern server that makes tasks only", () => {
  let server: TaskServer;
  let gateway: TestGateway;
  let client: OldTaskClient;

  async function start(): Promise<void> {
    server = await startTaskServer();
    server.calls = ({ params }) =>
      JSON.stringify(params?.["_meta"]).includes("io.modelcontextprotocol/tasks")
        ? { resultType: "task", ...stated("server-task-1", "working") }
        : NEEDED;
    gateway = await gatewayTo(server);
    client = await connectOldTaskClient(`${gateway.url}/mcp`, headers);
    open.push(() => client.close());
  }

  const ended = (more: object): object => ({ resultType: "complete", ...stated("server-task-1", "completed", more) });

  it("have the plain answer of the SDK's 1.x client in a second round, which is decided as the first", async () => {
    await start();
    expect(client.capabilities).not.toHaveProperty("tasks");
    server.tasks = () => ended({ result: { resultType: "complete", ...DONE } });
    expect(await client.plain("t")).toEqual(DONE);
    const { calls, outcomes } = gateway.pipeline;
    expect(calls.map(({ target, round }) => [target.kind, round?.index, round?.firstSeq])).toEqual([
      ["tool", undefined, undefined],
      ["tool", 1, 0],
    ]);
    expect(outcomes.map(({ status, rpcCode }) => [status, rpcCode])).toEqual([
      ["rpc_error", -32021],
      ["ok", undefined],
    ]);
    const [poll] = server.messages.filter(({ method }) => method === "tasks/get");
    expect(poll?.params).toMatchObject({
      taskId: "server-task-1",
      _meta: { "io.modelcontextprotocol/clientCapabilities": { extensions: { "io.modelcontextprotocol/tasks": {} } } },
    });
  });

  it("ask inside the task: the agent is asked once, and its answer is decided before the server has it", async () => {
    await start();
    server.tasks = ({ method }) => {
      const answers = server.messages.filter((message) => message.method === "tasks/update");
      if (method === "tasks/update") return { resultType: "complete" };
      if (answers.length > 0) return ended({ result: { content: [{ type: "text", text: JSON.stringify(answers) }] } });
      return { resultType: "complete", ...stated("server-task-1", "input_required", { inputRequests: { a: ELICIT } }) };
    };
    expect(JSON.stringify(await client.plain("t"))).toContain("Ada");
    const kinds = gateway.pipeline.calls.map(({ target }) => target.kind);
    expect(kinds).toEqual(["tool", "tool", "elicit", "task"]);
    expect(gateway.pipeline.calls.at(-1)).toMatchObject({
      wire: { method: "tasks/update" },
      taskTool: "t",
      round: { index: 2, firstSeq: 0 },
    });
  });

  it("end where policy keeps the agent's answer from the server, which is told that nobody waits", async () => {
    await start();
    server.tasks = () => ({
      resultType: "complete",
      ...stated("server-task-1", "input_required", { inputRequests: { a: ELICIT } }),
    });
    gateway.pipeline.policy = ({ target }) => (target.kind === "task" ? DENIED : undefined);
    await expect(client.plain("t")).rejects.toMatchObject({ code: -32603 });
    expect(server.messages.some(({ method }) => method === "tasks/update")).toBe(false);
    await expect.poll(() => server.messages.at(-1)?.method).toBe("tasks/cancel");
    expect(gateway.pipeline.outcomes.at(-1)).toMatchObject({ status: "cancelled", effect: "unknown" });
  });

  it("end with two outcomes where the agent is in quarantine by the time that it answers: nothing is sent for it", async () => {
    await start();
    server.tasks = () => ({
      resultType: "complete",
      ...stated("server-task-1", "input_required", { inputRequests: { a: ELICIT } }),
    });
    const { decide } = gateway.pipeline;
    const answer: PhantomAnswer = { result: {}, wait: () => Promise.resolve() };
    const phantom: FakePipeline["decide"] = async (call) => {
      const decided = await decide(call);
      if (decided.action !== "forward" || call.target.kind !== "task") return decided;
      return { action: "phantom", receipt: decided.receipt, ticket: decided.ticket, answer };
    };
    Object.assign(gateway.pipeline, { decide: phantom });
    await expect(client.plain("t")).rejects.toMatchObject({ code: -32603 });
    expect(server.messages.some(({ method }) => method === "tasks/update")).toBe(false);
    const { calls, outcomes } = gateway.pipeline;
    expect(calls.map(({ target }) => target.kind)).toEqual(["tool", "tool", "elicit", "task"]);
    expect(outcomes.slice(-2)).toMatchObject([
      { status: "phantom", effect: "none" },
      { status: "cancelled", effect: "unknown" },
    ]);
    expect(outcomes).toHaveLength(calls.length);
  });

  it("have the error of a task that failed, and one of ours if it is cancelled or is no task", async () => {
    await start();
    const error = { code: -32005, message: "no" };
    server.tasks = () => ({ resultType: "complete", ...stated("server-task-1", "failed", { error }) });
    await expect(client.plain("t")).rejects.toMatchObject({ code: -32005 });
    for (const state of [stated("server-task-1", "cancelled"), stated("server-task-2", "working"), {}]) {
      server.tasks = () => ({ resultType: "complete", ...state });
      await expect(client.plain("t")).rejects.toMatchObject({ code: -32603 });
      expect(gateway.pipeline.outcomes.at(-1)).toMatchObject({ status: "upstream_error", effect: "unknown" });
    }
  });

  it("do without a task that the agent asks for where it was told of none", async () => {
    await start();
    server.calls = () => ({ resultType: "complete", ...DONE });
    const opened = await sendRaw(gateway.url, {
      body: JSON.stringify({
        jsonrpc: "2.0",
        id: 0,
        method: "initialize",
        params: { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "a", version: "1" } },
      }),
    });
    const session = { "Mcp-Session-Id": opened.headers["mcp-session-id"], "MCP-Protocol-Version": "2025-11-25" };
    const params = { name: "t", arguments: {}, task: { ttl: 5 } };
    const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/call", params });
    const { json } = await sendRaw(gateway.url, { headers: session, body });
    expect(json).toEqual({ jsonrpc: "2.0", id: 1, result: DONE });
    expect(server.messages.at(-1)?.params).not.toHaveProperty("task");
    expect(gateway.pipeline.refusals).toEqual([]);
  });
});
