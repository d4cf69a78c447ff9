import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ALICE, BOB, httpServer, startTestGateway, type TestGateway } from "../support/mcp-gateway.ts";
import { type RawAnswer, sendRaw } from "../support/mcp-raw.ts";
import type { ScriptedMessage, ScriptedServer } from "../support/mcp-scripted.ts";
import {
  connectOldTaskClient,
  type OldTaskClient,
  type OldTaskServer,
  startOldTaskServer,
} from "../support/old-task-peers.ts";
import { startTaskScript } from "../support/old-task-script.ts";

let server: OldTaskServer;
let gateway: TestGateway;
const clients: OldTaskClient[] = [];

beforeEach(async () => {
  server = await startOldTaskServer();
  gateway = await startTestGateway([httpServer("old", server.url)]);
});
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.close()));
  await gateway.close();
  await server.close();
});

async function connect(token = ALICE): Promise<OldTaskClient> {
  const client = await connectOldTaskClient(`${gateway.url}/mcp`, { Authorization: `Bearer ${token}` });
  clients.push(client);
  return client;
}

describe("the SDK's 1.x client and server with tasks, a gateway between them", () => {
  it("call a tool as a task, wait for it and take its result, which is the call's second outcome", async () => {
    const client = await connect();
    expect(client.capabilities).toMatchObject({ tasks: { list: {}, cancel: {}, requests: { tools: { call: {} } } } });
    const seen = await client.call("work");
    expect(seen.map(({ type }) => type)).toEqual([
      "taskCreated",
      ...seen.slice(1, -1).map(() => "taskStatus"),
      "result",
    ]);
    expect(seen[0]?.task?.taskId).toMatch(/^cst_/u);
    expect(seen.at(-1)).toMatchObject({ result: { content: [{ type: "text", text: "worked" }] } });
    expect(JSON.stringify(seen.at(-1))).toContain(seen[0]?.task?.taskId);
    expect(gateway.pipeline.outcomes[0]).toMatchObject({ status: "task_created", effect: "unknown" });
    expect(gateway.pipeline.tasks.map(({ outcome }) => [outcome?.status, outcome?.effect])).toEqual([
      ["task_completed", "done"],
    ]);
    const kinds = new Set(gateway.pipeline.calls.slice(1).map(({ target, round }) => `${target.kind} ${round?.index}`));
    expect([...kinds]).toEqual(["task 1"]);
  });

  it("fail, with an end that has no result, and cancel", async () => {
    const client = await connect();
    expect((await client.call("fail")).at(-1)).toMatchObject({ type: "error" });
    const { taskId } = await client.begin("wait");
    expect(await client.cancel(taskId)).toMatchObject({ taskId, status: "cancelled" });
    await expect(client.cancel(taskId)).rejects.toMatchObject({ code: -32602 });
    expect(gateway.pipeline.tasks.map(({ outcome }) => outcome?.status)).toEqual(["task_failed", "cancelled"]);
  });

  it("ask inside a task: the question is decided, and both sides see their own name of the task", async () => {
    const client = await connect();
    const seen = await client.call("ask");
    expect(JSON.stringify(seen.at(-1))).toContain("Ada");
    const question = gateway.pipeline.calls.find(({ target }) => target.kind === "elicit");
    expect(question?.taskTool).toBe("ask");
    expect(Buffer.from(question?.toSend ?? []).toString("utf8")).toContain(String(seen[0]?.task?.taskId));
    expect(Buffer.from(question?.received ?? []).toString("utf8")).not.toContain("cst_");
  });

  it("tell of a task unasked, under the agent's name of it and a decision of its own", async () => {
    const client = await connect();
    // The streams of both sides are there some time behind the handshake.
    await expect
      .poll(async () => {
        await client.call("ask");
        return client.statuses.map(({ status }) => status);
      })
      .toContain("completed");
    for (const { taskId } of client.statuses) expect(taskId).toMatch(/^cst_/u);
    const told = gateway.pipeline.calls.filter(({ wire }) => wire.method === "notifications/tasks/status");
    expect(told[0]).toMatchObject({ target: { kind: "task" }, taskTool: "ask", isAnsweredHere: true });
    expect(told.length).toBe(new Set(client.statuses.map(({ taskId }) => taskId)).size);
  });

  it("list an agent's own tasks alone; another session's are not there, nor after its session has ended", async () => {
    const [alice, other, bob] = [await connect(), await connect(), await connect(BOB)];
    const { taskId } = await alice.begin("wait");
    expect(await alice.list()).toMatchObject([{ taskId, status: "working" }]);
    for (const stranger of [other, bob]) {
      expect(await stranger.list()).toEqual([]);
      await expect(stranger.get(taskId)).rejects.toMatchObject({ code: -32602 });
      await expect(stranger.result(taskId)).rejects.toMatchObject({ code: -32602 });
      await expect(stranger.cancel(taskId)).rejects.toMatchObject({ code: -32602 });
    }
    expect(new Set(gateway.pipeline.refusals.map(({ reason }) => reason))).toEqual(new Set(["task.foreign"]));
    await alice.terminate();
    await expect.poll(() => gateway.pipeline.tasks).toMatchObject([{ outcome: undefined }]);
    await expect.poll(() => gateway.pipeline.sealed.length).toBe(1);
  });
});

const DONE = { content: [{ type: "text", text: "done" }] };
const RELATED = "io.modelcontextprotocol/related-task";

describe("a hostile legacy server", () => {
  const task = (taskId: string, status: string, more: object = {}): object => {
    const time = "2025-11-25T10:30:00Z";
    return { taskId, status, createdAt: time, lastUpdatedAt: time, ttl: null, pollInterval: 10, ...more };
  };
  let hostile: ScriptedServer;
  let answers: (message: ScriptedMessage) => object;
  let before: TestGateway;
  let session: string;

  async function startBefore(support = "optional"): Promise<void> {
    answers = () => ({ task: task("one", "working") });
    hostile = await startTaskScript(support, (message) => answers(message));
    before = await startTestGateway([httpServer("h", hostile.url)]);
    const params = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "a", version: "1" } };
    const opened = await post("initialize", params);
    session = opened.headers["mcp-session-id"] ?? "";
  }
  afterEach(async () => {
    session = "";
    await before.close();
    await hostile.close();
  });

  function post(method: string, params: object): Promise<RawAnswer> {
    const headers = session === "" ? {} : { "Mcp-Session-Id": session, "MCP-Protocol-Version": "2025-11-25" };
    return sendRaw(before.url, { body: JSON.stringify({ jsonrpc: "2.0", id: 1, method, params }), headers });
  }

  async function ask(method: string, params: object): Promise<Record<string, unknown>> {
    return JSON.parse((await post(method, params)).body.replace(/^[^{]*data: /su, ""));
  }

  const make = async (): Promise<string> => {
    const { result } = await ask("tools/call", { name: "t", arguments: {}, task: { ttl: 1 } });
    return JSON.parse(JSON.stringify(result)).task.taskId;
  };
  const PROTOCOL = { error: { code: -32603, data: { reason: "upstream.protocol" } } };

  it("cannot answer for another task, end in two ways, or make a task of a call that asks for none", async () => {
    await startBefore();
    const taskId = await make();
    expect(await ask("tools/call", { name: "t", arguments: {}, task: {} })).toMatchObject(PROTOCOL);
    expect(await ask("tools/call", { name: "t", arguments: {} })).toMatchObject(PROTOCOL);
    answers = () => task("another", "completed");
    expect(await ask("tasks/get", { taskId })).toMatchObject(PROTOCOL);
    answers = () => ({ ...DONE, _meta: { [RELATED]: { taskId: "another" } } });
    expect(await ask("tasks/result", { taskId })).toMatchObject(PROTOCOL);
    expect(before.pipeline.tasks).toEqual([]);
    answers = () => ({ ...DONE, _meta: { [RELATED]: { taskId: "one" } } });
    expect(await ask("tasks/result", { taskId })).toMatchObject({
      result: { ...DONE, _meta: { [RELATED]: { taskId } } },
    });
    answers = () => ({ content: [] });
    expect(await ask("tasks/result", { taskId })).toMatchObject(PROTOCOL);
    answers = () => task("one", "failed");
    expect(await ask("tasks/get", { taskId })).toMatchObject({ result: { taskId, status: "failed" } });
    answers = () => task("one", "working");
    expect(await ask("tasks/get", { taskId })).toMatchObject(PROTOCOL);
  });

  it("fills no list: what is remembered of a task is small, and nothing that was withheld", async () => {
    await startBefore();
    const taskId = await make();
    answers = () => task("one", "working", { statusMessage: "x".repeat(100_000), more: { deep: "y".repeat(5_000) } });
    await ask("tasks/get", { taskId });
    const listed = await post("tasks/list", {});
    expect(JSON.parse(listed.body)).toMatchObject({ result: { tasks: [{ taskId, status: "working" }] } });
    expect(listed.body.length).toBeLessThan(2_000);
  });

  it("is not asked for a task that it cannot carry: a tool without, a malformed ask", async () => {
    await startBefore("forbidden");
    const sent = hostile.messages.length;
    const UNBRIDGED = { error: { code: -32601, data: { reason: "bridge.unsupported" } } };
    expect(await ask("tools/call", { name: "t", arguments: {}, task: {} })).toMatchObject(UNBRIDGED);
    expect(await ask("tools/call", { name: "t", arguments: {}, task: 7 })).toMatchObject({
      error: { code: -32602, data: { reason: "rpc.shape" } },
    });
    expect(before.pipeline.refusals.map(({ reason }) => reason)).toEqual(["bridge.unsupported", "rpc.shape"]);
    expect(hostile.messages.filter(({ method }) => method === "tools/call").length).toBe(0);
    expect(sent).toBeGreaterThan(0);
  });
});
