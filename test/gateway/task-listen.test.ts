import { setImmediate } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Pipeline } from "../../gateway/pipeline/call.ts";
import type { PartVerdict } from "../../gateway/pipeline/stream-watch.ts";
import { BOB, httpServer, startTestGateway, type TestGateway } from "../support/mcp-gateway.ts";
import { type OpenListen, openListen } from "../support/mcp-listen.ts";
import { DENIED } from "../support/mcp-pipeline.ts";
import { BEYOND } from "../support/mcp-scripted.ts";
import { askModern, startTaskServer, stated, type TaskServer } from "../support/task-server.ts";

const DONE = { content: [{ type: "text", text: "done" }] };
const UNDECLARED = '{"elicitation":{}}';
const ELICIT = { method: "elicitation/create", params: { message: "Name?", requestedSchema: { type: "object" } } };

let server: TaskServer;
let gateway: TestGateway;
let streams: OpenListen[] = [];

beforeEach(async () => {
  server = await startTaskServer();
  gateway = await startTestGateway([httpServer("s", server.url)], { upstreamLimits: { relistenMs: 5 } });
});
afterEach(async () => {
  for (const stream of streams) stream.close();
  streams = [];
  await gateway.close();
  await server.close();
});

async function make(): Promise<string> {
  const answer = await askModern(gateway.url, "tools/call", { name: "t", arguments: {} });
  return JSON.parse(answer.body).result.taskId;
}

async function listen(taskIds: unknown, given: Parameters<typeof openListen>[2] = {}): Promise<OpenListen> {
  const stream = await openListen(gateway.url, { taskIds }, given);
  streams.push(stream);
  return stream;
}

function told({ heard }: OpenListen): readonly unknown[] {
  return heard.flatMap(({ method, params }) => (method === "notifications/tasks" ? [params] : []));
}

/** Something that a test waits for, or lets go on. */
function gate(): { readonly open: () => void; readonly opened: Promise<void> } {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { open: () => open(), opened };
}

const TAG = { _meta: { "io.modelcontextprotocol/subscriptionId": "mine" } };

describe("an agent that listens to its tasks", () => {
  it("is told what their server says of them under its own names, and the result is the end of the call", async () => {
    const id = await make();
    const stream = await listen([id]);
    expect(stream.heard).toMatchObject([
      { method: "notifications/subscriptions/acknowledged", params: { notifications: { taskIds: [id] }, ...TAG } },
    ]);
    const asked = server.messages.find(({ method }) => method === "subscriptions/listen");
    expect(asked?.params).toMatchObject({
      notifications: { taskIds: ["server-task-1"] },
      _meta: { "io.modelcontextprotocol/clientCapabilities": { extensions: { "io.modelcontextprotocol/tasks": {} } } },
    });
    server.tell(stated("server-task-1", "working", { statusMessage: "half", "vendor/more": 1 }));
    await expect.poll(() => told(stream)).toHaveLength(1);
    expect(told(stream)[0]).toEqual({
      ...stated(id, "working", { statusMessage: "half", "vendor/more": 1 }),
      ...TAG,
    });
    expect(gateway.pipeline.tasks).toEqual([]);
    server.tell(stated("server-task-1", "completed", { result: DONE }));
    await expect.poll(() => told(stream)).toHaveLength(2);
    expect(told(stream)[1]).toMatchObject({ taskId: id, status: "completed", result: DONE });
    expect(JSON.stringify(stream.heard)).not.toContain("server-task-1");
    expect(gateway.pipeline.tasks).toMatchObject([{ outcome: { status: "task_completed", effect: "done" } }]);
    const decided = gateway.pipeline.calls.find(({ wire }) => wire.method === "subscriptions/listen");
    expect(decided).toMatchObject({
      target: { kind: "task", name: "server-task-1" },
      taskTool: "t",
      round: { index: 1, firstSeq: 0 },
    });
  });

  it("gets a result only as the call's own policy makes it", async () => {
    const id = await make();
    const stream = await listen([id]);
    gateway.pipeline.end = ({ returned: _, ...outcome }) => ({ ...outcome, status: "blocked", refusal: DENIED });
    server.tell(stated("server-task-1", "completed", { result: { content: [{ type: "text", text: "secret" }] } }));
    await expect.poll(() => told(stream)).toHaveLength(1);
    expect(JSON.stringify(told(stream))).toContain("Denied");
    expect(JSON.stringify(stream.heard)).not.toContain("secret");
  });

  it("is asked inside a task only what policy lets through", async () => {
    const id = await make();
    const stream = await listen([id]);
    gateway.pipeline.policy = ({ target }) => (target.kind === "elicit" ? DENIED : undefined);
    server.tell(stated("server-task-1", "input_required", { inputRequests: { a: ELICIT } }));
    await expect.poll(() => gateway.pipeline.calls.some(({ target }) => target.kind === "elicit")).toBe(true);
    gateway.pipeline.policy = () => undefined;
    server.tell(stated("server-task-1", "input_required", { inputRequests: { b: ELICIT } }));
    await expect.poll(() => told(stream)).toHaveLength(1);
    expect(told(stream)[0]).toMatchObject({ status: "input_required", inputRequests: { b: ELICIT } });
  });

  it("is not told of another's tasks, nor of ones that policy keeps from it; without the extension nothing is opened", async () => {
    const id = await make();
    const foreign = await listen([id, "cst_never"], { token: BOB });
    await foreign.ended;
    expect(foreign.heard).toMatchObject([{ params: { notifications: {} } }, { result: { resultType: "complete" } }]);
    expect(gateway.pipeline.refusals.map(({ reason }) => reason).sort()).toEqual(["task.foreign", "task.unknown"]);
    gateway.pipeline.policy = ({ target }) => (target.kind === "task" ? DENIED : undefined);
    const denied = await listen([id]);
    await denied.ended;
    expect(denied.heard[0]).toMatchObject({ params: { notifications: {} } });
    const undeclared = await listen([id], { capabilities: UNDECLARED });
    expect([undeclared.status, undeclared.heard[0]?.error?.code]).toEqual([400, -32021]);
    for (const malformed of [7, [7], [""], Array.from({ length: 33 }, (_, at) => `cst_${at}`)]) {
      expect((await listen(malformed)).heard[0]?.error?.code).toBe(-32602);
    }
    expect(server.messages.filter(({ method }) => method === "subscriptions/listen")).toEqual([]);
  });

  it("hears of no other task, and of no second end: that has a receipt, and the agent is told nothing", async () => {
    const id = await make();
    const stream = await listen([id]);
    server.tell(stated("server-task-2", "working"));
    await expect.poll(() => gateway.pipeline.refusals.map(({ reason }) => reason)).toEqual(["upstream.protocol"]);
    server.tell(stated("server-task-1", "completed", { result: DONE }));
    await expect.poll(() => told(stream)).toHaveLength(1);
    server.tell(stated("server-task-1", "failed", { error: { code: 1, message: "no" } }));
    await expect.poll(() => gateway.pipeline.refusals).toHaveLength(2);
    expect(told(stream)).toHaveLength(1);
    expect(gateway.pipeline.refusals[1]).toMatchObject({ wire: { method: "notifications/tasks" }, serverId: "s" });
    expect(gateway.pipeline.tasks).toHaveLength(1);
  });

  it("is told nothing by the decision before when rules change while a notice is read: the look is under the one that stands", async () => {
    const id = await make();
    const stream = await listen([id]);
    const { finish, finishTask } = gateway.pipeline;
    const [ended, looked]: [Set<string>, string[]] = [new Set(), []];
    const renewed = gate();
    const whole: Partial<Pipeline> = {
      finish: async (ticket, outcome) => {
        ended.add(ticket.callId);
        const kept = await finish(ticket, outcome);
        renewed.open();
        return kept;
      },
      finishTask: async (ticket, outcome) => {
        gateway.rules.tell();
        await renewed.opened;
        await setImmediate();
        return finishTask(ticket, outcome);
      },
      watchStream: ({ callId }) => {
        const look = (): PartVerdict => ({ type: looked.push(callId) > 0 ? "drop" : "pass" });
        return ended.has(callId) ? undefined : { isBuffered: false, look };
      },
    };
    Object.assign(gateway.pipeline, whole);
    server.tell(stated("server-task-1", "completed", { result: DONE }));
    await expect.poll(() => looked).toHaveLength(1);
    expect(told(stream)).toEqual([]);
  });

  it("is not told what waits behind another notice when rules change meanwhile, before it is decided anew", async () => {
    const first = await make();
    server.calls = () => ({ resultType: "task", ...stated("server-task-2", "working") });
    const second = await make();
    const stream = await listen([first, second]);
    const { decide, finishTask } = gateway.pipeline;
    const [ending, released, deciding] = [gate(), gate(), gate()];
    const whole: Partial<Pipeline> = {
      finishTask: async (ticket, outcome) => {
        ending.open();
        await released.opened;
        return finishTask(ticket, outcome);
      },
      decide: async (call) => {
        if (call.isAnsweredHere === true) await deciding.opened;
        return decide(call);
      },
    };
    Object.assign(gateway.pipeline, whole);
    server.tell(stated("server-task-1", "completed", { result: DONE }));
    await ending.opened;
    server.tell(stated("server-task-2", "working"));
    // Its answer comes behind the notice.
    await askModern(gateway.url, "tasks/get", { taskId: second });
    gateway.rules.tell();
    released.open();
    await expect.poll(() => told(stream)).toHaveLength(1);
    await askModern(gateway.url, "tasks/get", { taskId: second });
    expect(told(stream)).toMatchObject([{ taskId: first }]);
    deciding.open();
    await expect.poll(() => told(stream)).toHaveLength(2);
  });

  it("is not told of an end that cannot be compared with another, nor asked so; the next notice is told", async () => {
    const id = await make();
    const stream = await listen([id]);
    const beyond = { method: "elicitation/create", params: { ...ELICIT.params, "vendor/n": BEYOND } };
    for (const [status, more] of [
      ["completed", { result: { ...DONE, structuredContent: { n: BEYOND } } }],
      ["input_required", { inputRequests: { a: beyond } }],
    ] as const) {
      server.tell(stated("server-task-1", status, more));
      await expect.poll(() => gateway.pipeline.refusals.splice(0)).toMatchObject([{ reason: "upstream.protocol" }]);
    }
    server.tell(stated("server-task-1", "completed", { result: DONE }));
    await expect.poll(() => told(stream)).toHaveLength(1);
  });

  it("loses the stream when rules change so that it may not know any more", async () => {
    const id = await make();
    const stream = await listen([id]);
    gateway.pipeline.policy = ({ target }) => (target.kind === "task" ? DENIED : undefined);
    gateway.rules.tell();
    await stream.ended;
    server.tell(stated("server-task-1", "completed", { result: DONE }));
    expect(told(stream)).toEqual([]);
    expect(gateway.pipeline.tasks).toEqual([]);
  });

  it("is told where the task is when its server's stream was broken meanwhile", async () => {
    const id = await make();
    const stream = await listen([id]);
    server.tasks = () => ({ resultType: "complete", ...stated("server-task-1", "completed", { result: DONE }) });
    server.breakListens();
    await expect.poll(() => told(stream)).toHaveLength(1);
    expect(told(stream)[0]).toMatchObject({ taskId: id, status: "completed", result: DONE });
    const sent = server.messages.find(({ method }) => method === "tasks/get");
    expect(sent?.params).toMatchObject({ taskId: "server-task-1" });
  });
});
