import { randomBytes } from "node:crypto";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { makeKeyedNames } from "../../gateway/pipeline/keyed-names.ts";
import { BOB, httpServer, startTestGateway, type TestGateway } from "../support/mcp-gateway.ts";
import { DENIED } from "../support/mcp-pipeline.ts";
import type { RawAnswer } from "../support/mcp-raw.ts";
import { BEYOND } from "../support/mcp-scripted.ts";
import { askModern, startTaskServer, stated, type TaskServer } from "../support/task-server.ts";

const ELICIT = { method: "elicitation/create", params: { message: "Name?", requestedSchema: { type: "object" } } };
const UNDECLARED = '{"elicitation":{}}';
const DONE = { content: [{ type: "text", text: "done" }] };

let server: TaskServer;
let gateway: TestGateway;
let now = 0;

beforeEach(async () => {
  server = await startTaskServer();
  now = 1_000_000;
  gateway = await startTestGateway([httpServer("s", server.url)], { nowMs: () => now });
});
afterEach(async () => {
  await gateway.close();
  await server.close();
});

type Given = Parameters<typeof askModern>[3];

function ask(method: string, params: Readonly<Record<string, unknown>>, given: Given = {}): Promise<RawAnswer> {
  return askModern(gateway.url, method, params, given);
}

async function make(given: Given = {}): Promise<string> {
  const { result } = JSON.parse((await ask("tools/call", { name: "t", arguments: { a: 1 } }, given)).body);
  expect(result.resultType).toBe("task");
  return result.taskId;
}

async function resultOf(answer: Promise<RawAnswer>): Promise<Record<string, unknown>> {
  return JSON.parse((await answer).body).result;
}

async function errorOf(answer: Promise<RawAnswer>): Promise<unknown> {
  const { error } = JSON.parse((await answer).body);
  return error === undefined ? undefined : [error.code, error.data?.reason];
}

function reached(method: string): readonly (Readonly<Record<string, unknown>> | undefined)[] {
  return server.messages.filter((message) => message.method === method).map(({ params }) => params);
}

describe("a call that a modern server makes a task of", () => {
  it("is offered to agents and servers that both declare the extension, and to no others", async () => {
    const discovered = await resultOf(ask("server/discover", {}));
    expect(discovered["capabilities"]).toMatchObject({ extensions: { "io.modelcontextprotocol/tasks": {} } });
    const id = await make();
    const [sent] = reached("tools/call");
    const declared = { extensions: { "io.modelcontextprotocol/tasks": {} }, elicitation: {} };
    expect(sent?.["_meta"]).toMatchObject({ "io.modelcontextprotocol/clientCapabilities": declared });
    expect(JSON.stringify(sent)).not.toContain("vendor/x");
    expect(id).toMatch(/^cst_[A-Za-z0-9_-]{32}$/u);
    const answer = ask("tools/call", { name: "t", arguments: {} }, { capabilities: UNDECLARED });
    expect(await errorOf(answer)).toEqual([-32603, "upstream.protocol"]);
    for (const method of ["tasks/get", "tasks/update", "tasks/cancel"]) {
      const refused = ask(method, { taskId: id }, { capabilities: UNDECLARED });
      expect((await refused).status).toBe(400);
      expect(await errorOf(refused)).toEqual([-32021, "mcp.capability-missing"]);
    }
  });

  it("has a first outcome that says so, and one behind it when the agent is given the result", async () => {
    const id = await make();
    expect(gateway.pipeline.outcomes.at(-1)).toMatchObject({ status: "task_created", effect: "unknown" });
    expect(await resultOf(ask("tasks/get", { taskId: id }))).toMatchObject({ taskId: id, status: "working" });
    expect(gateway.pipeline.tasks).toEqual([]);
    const [created, polled] = gateway.pipeline.calls;
    expect(created?.target).toEqual({ kind: "tool", name: "t" });
    expect(polled).toMatchObject({
      target: { kind: "task", name: "server-task-1" },
      taskTool: "t",
      round: { index: 1, firstSeq: 0 },
    });
    expect(reached("tasks/get")).toMatchObject([{ taskId: "server-task-1" }]);
    server.tasks = () => ({ resultType: "complete", ...stated("server-task-1", "completed", { result: DONE }) });
    const answer = await ask("tasks/get", { taskId: id });
    expect(JSON.parse(answer.body).result).toMatchObject({ taskId: id, status: "completed", result: DONE });
    expect(answer.body).not.toContain("server-task-1");
    expect(gateway.pipeline.tasks).toMatchObject([
      { callId: "0", outcome: { status: "task_completed", effect: "done" } },
    ]);
  });

  it("gives a result that the call's own policy changes or withholds as it says", async () => {
    const id = await make();
    server.tasks = () => ({ resultType: "complete", ...stated("server-task-1", "completed", { result: DONE }) });
    gateway.pipeline.end = (outcome) => ({ ...outcome, returned: Buffer.from('{"result":{"content":[]}}') });
    expect(await resultOf(ask("tasks/get", { taskId: id }))).toMatchObject({ taskId: id, result: { content: [] } });
    expect(gateway.pipeline.outcomes.at(-1)?.status).toBe("redacted");
    gateway.pipeline.end = ({ returned: _, ...outcome }) => ({ ...outcome, status: "blocked", refusal: DENIED });
    const blocked = await resultOf(ask("tasks/get", { taskId: id }));
    expect(blocked["result"]).toMatchObject({ isError: true, _meta: { "countersign/reason": "policy.forbid" } });
    expect(JSON.stringify(blocked)).not.toContain("done");
    expect(gateway.pipeline.outcomes.at(-1)?.status).toBe("blocked");
    server.tasks = () => ({ code: -32602, message: "Task has expired" });
    expect(JSON.parse((await ask("tasks/get", { taskId: id })).body).error.message).toBe("Task has expired");
  });

  it("ends as failed with the server's error, and as cancelled when its agent or its server says so", async () => {
    const failed = await make();
    server.tasks = () => ({ ...stated("server-task-1", "failed", { error: { code: -32603, message: "no" } }) });
    expect(await resultOf(ask("tasks/get", { taskId: failed }))).toMatchObject({
      error: { code: -32603, message: "no" },
    });
    server.calls = () => ({ resultType: "task", ...stated("two", "working") });
    const gone = await make();
    server.tasks = () => ({ ...stated("two", "cancelled") });
    expect(await resultOf(ask("tasks/get", { taskId: gone }))).toMatchObject({ taskId: gone, status: "cancelled" });
    server.calls = () => ({ resultType: "task", ...stated("three", "working") });
    const stopped = await make();
    server.tasks = () => ({ resultType: "complete" });
    expect(await resultOf(ask("tasks/cancel", { taskId: stopped }))).toEqual({ resultType: "complete" });
    expect(reached("tasks/cancel")).toMatchObject([{ taskId: "three" }]);
    expect(gateway.pipeline.tasks.map(({ outcome }) => [outcome?.status, outcome?.effect])).toEqual([
      ["task_failed", "unknown"],
      ["cancelled", "unknown"],
      ["cancelled", "unknown"],
    ]);
  });

  it("says nothing in the gateway's name, however it ends", async () => {
    const meta = { "countersign/receipt": "a/1", "com.example/x": 1 };
    server.tasks = () => stated("server-task-1", "completed", { result: { ...DONE, _meta: meta } });
    const id = await make();
    const done = await resultOf(ask("tasks/get", { taskId: id }));
    expect(done).toMatchObject({ status: "completed" });
    expect(done["result"]).toEqual({ ...DONE, _meta: { "com.example/x": 1 } });
    const error = { code: -31002, message: "m", data: { receipt: "a/1", url: "https://a.example/", reason: "r" } };
    server.calls = () => ({ resultType: "task", ...stated("two", "working") });
    server.tasks = () => stated("two", "failed", { error });
    const failed = await resultOf(ask("tasks/get", { taskId: await make() }));
    const { receipt: _, ...data } = error.data;
    expect(failed["error"]).toEqual({ code: -32603, message: "m", data });
    gateway.pipeline.end = ({ returned: _returned, ...outcome }) => ({ ...outcome, refusal: DENIED });
    server.calls = () => ({ resultType: "task", ...stated("three", "working") });
    server.tasks = () => stated("three", "failed", { error });
    const blocked = await resultOf(ask("tasks/get", { taskId: await make() }));
    expect(blocked["error"]).toMatchObject({
      code: -31001,
      data: { "countersign/reason": "policy.forbid", receipt: expect.stringMatching(/\/\d+$/u) },
    });
  });

  it("asks its questions through policy once each, and has the answers inspected as arguments", async () => {
    const id = await make();
    const asking = (inputRequests: object): void => {
      server.tasks = () => ({ ...stated("server-task-1", "input_required", { inputRequests }) });
    };
    asking({ who: ELICIT });
    for (let poll = 0; poll < 2; poll += 1) {
      expect(await resultOf(ask("tasks/get", { taskId: id }))).toMatchObject({ inputRequests: { who: ELICIT } });
    }
    expect(gateway.pipeline.calls.map(({ target }) => target.kind)).toEqual(["tool", "task", "elicit", "task"]);
    asking({ who: { ...ELICIT, params: { ...ELICIT.params, message: "Password?" } } });
    expect(await errorOf(ask("tasks/get", { taskId: id }))).toEqual([-32603, "upstream.protocol"]);
    asking({ more: { method: "sampling/createMessage", params: {} } });
    expect(await errorOf(ask("tasks/get", { taskId: id }))).toEqual([-32603, "upstream.undeclared-input"]);
    gateway.pipeline.policy = ({ target }) => (target.kind === "elicit" ? DENIED : undefined);
    asking({ other: ELICIT });
    expect(await errorOf(ask("tasks/get", { taskId: id }))).toEqual([-31001, "policy.forbid"]);
    gateway.pipeline.policy = () => undefined;
    server.tasks = () => ({ resultType: "complete" });
    const inputResponses = { who: { action: "accept", content: { name: "Ada" } } };
    expect(await resultOf(ask("tasks/update", { taskId: id, inputResponses }))).toEqual({ resultType: "complete" });
    expect(reached("tasks/update")).toMatchObject([{ taskId: "server-task-1", inputResponses }]);
    expect(gateway.pipeline.calls.at(-1)?.params["inputResponses"]).toEqual(inputResponses);
  });
});

describe("a task of another agent, or of nobody", () => {
  it("gets the same answer, and a receipt that tells them apart", async () => {
    const id = await make();
    const before = server.messages.length;
    const asked = ["tasks/get", "tasks/update", "tasks/cancel"];
    const cases: readonly [string, Given, string][] = [
      [id, { token: BOB }, "task.foreign"],
      [id, { meta: { threadId: "another" } }, "task.foreign"],
      ["cst_0123456789abcdef0123456789abcdef", {}, "task.unknown"],
      ["server-task-1", {}, "task.unknown"],
      ["", {}, "task.unknown"],
      [`${id}x`, {}, "task.unknown"],
    ];
    for (const [taskId, given, recorded] of cases) {
      for (const method of asked) {
        const answer = await ask(method, { taskId }, given);
        const { error } = JSON.parse(answer.body);
        expect(error).toMatchObject({
          code: -32602,
          message: "there is no such task",
          data: { reason: "task.unknown" },
        });
        expect(gateway.pipeline.refusals.at(-1)?.reason).toBe(recorded);
      }
    }
    expect(await errorOf(ask("tasks/get", {}))).toEqual([-32602, "rpc.shape"]);
    expect(server.messages.length).toBe(before);
    expect(gateway.pipeline.tasks).toEqual([]);
  });

  it("is not found at another server's endpoint", async () => {
    const other = await startTaskServer();
    const both = await startTestGateway([httpServer("s", server.url), httpServer("o", other.url)]);
    const askAt = (path: string, method: string, params: object): Promise<RawAnswer> =>
      askModern(both.url, method, { ...params }, {}, path);
    const made = await askAt("/mcp", "tools/call", { name: "s__t", arguments: {} });
    const { taskId } = JSON.parse(made.body).result;
    expect(await errorOf(askAt("/s/o/mcp", "tasks/get", { taskId }))).toEqual([-32602, "task.unknown"]);
    expect(await resultOf(askAt("/s/s/mcp", "tasks/get", { taskId }))).toMatchObject({ taskId });
    expect(await resultOf(askAt("/mcp", "tasks/get", { taskId }))).toMatchObject({ taskId });
    expect(other.messages.some(({ method }) => method === "tasks/get")).toBe(false);
    await both.close();
    await other.close();
  });
});

describe("a hostile server's tasks", () => {
  it("do not stand for two, change their id, or end in two ways", async () => {
    const id = await make();
    const again = ask("tools/call", { name: "t", arguments: {} }, { token: BOB });
    expect(await errorOf(again)).toEqual([-32603, "upstream.protocol"]);
    server.tasks = () => ({ ...stated("of-another", "completed", { result: DONE }) });
    expect(await errorOf(ask("tasks/get", { taskId: id }))).toEqual([-32603, "upstream.protocol"]);
    expect(gateway.pipeline.tasks).toEqual([]);
    server.tasks = () => ({ ...stated("server-task-1", "completed", { result: DONE }) });
    expect(await resultOf(ask("tasks/get", { taskId: id }))).toMatchObject({ result: DONE });
    const others = [
      stated("server-task-1", "completed", { result: { content: [] } }),
      stated("server-task-1", "failed", { error: { code: 1, message: "no" } }),
      stated("server-task-1", "cancelled"),
      stated("server-task-1", "working"),
      stated("server-task-1", "completed"),
      stated("server-task-1", "gone"),
      { resultType: "task", ...stated("server-task-1", "completed", { result: DONE }) },
      stated("server-task-1", "completed", { result: { ...DONE, structuredContent: { n: BEYOND } } }),
      {},
    ];
    for (const other of others) {
      server.tasks = () => other;
      expect(await errorOf(ask("tasks/get", { taskId: id }))).toEqual([-32603, "upstream.protocol"]);
      expect(gateway.pipeline.outcomes.at(-1)?.status).toBe("upstream_error");
    }
  });

  it("do not stand for two that are made at one time", async () => {
    let keep = (): void => undefined;
    gateway.pipeline.kept = new Promise((resolve) => {
      keep = resolve;
    });
    const asked = Promise.all([
      ask("tools/call", { name: "t", arguments: { a: 1 } }),
      ask("tools/call", { name: "t", arguments: { a: 2 } }, { token: BOB }),
    ]);
    await expect.poll(() => gateway.pipeline.calls.length - gateway.pipeline.open.size).toBe(2);
    keep();
    const made = await asked;
    const kinds = made.map(({ body }) => JSON.parse(body).result?.resultType ?? JSON.parse(body).error?.data?.reason);
    expect([...kinds].sort()).toEqual(["task", "upstream.protocol"]);
    expect(gateway.pipeline.outcomes.map(({ status }) => status).sort()).toEqual(["task_created", "upstream_error"]);
  });

  it("may be made again under an id whose first call could not be kept", async () => {
    gateway.pipeline.finishFails = true;
    expect(await errorOf(ask("tools/call", { name: "t", arguments: {} }))).toEqual([-32603, "receipt.unavailable"]);
    gateway.pipeline.finishFails = false;
    expect(await make()).toMatch(/^cst_/u);
  });

  it.each([
    ["no id", { resultType: "task", status: "working", ttlMs: null }],
    ["an empty id", { resultType: "task", ...stated("", "working") }],
    ["a long id", { resultType: "task", ...stated("i".repeat(1_025), "working") }],
    ["no status", { resultType: "task", taskId: "a", ttlMs: null }],
    ["a life that is no number", { resultType: "task", ...stated("a", "working", { ttlMs: "long" }) }],
  ])("are refused with %s", async (_name, made) => {
    server.calls = () => made;
    expect(await errorOf(ask("tools/call", { name: "t", arguments: {} }))).toEqual([-32603, "upstream.protocol"]);
  });

  it("live no longer than the gateway's bound, and the agent is told so", async () => {
    server.calls = () => ({ resultType: "task", ...stated("long", "working", { ttlMs: 9e15 }) });
    const week = 7 * 24 * 3_600_000;
    const { taskId, ttlMs } = await resultOf(ask("tools/call", { name: "t", arguments: {} }));
    expect(ttlMs).toBe(week);
    server.tasks = () => ({ ...stated("long", "working", { ttlMs: null }) });
    now += week;
    expect(await resultOf(ask("tasks/get", { taskId }))).toMatchObject({ ttlMs: week });
    now += 60_001;
    expect(await errorOf(ask("tasks/get", { taskId }))).toEqual([-32602, "task.gone"]);
    await expect.poll(() => gateway.pipeline.tasks).toEqual([{ callId: "0", outcome: undefined }]);
  });
});

describe("many tasks", () => {
  it("are bounded for each agent; what has ended makes room", async () => {
    await gateway.close();
    gateway = await startTestGateway([httpServer("s", server.url)], { limits: { maxTasksPerCaller: 2 } });
    let made = 0;
    server.calls = () => {
      made += 1;
      return { resultType: "task", ...stated(`task-${made}`, "working") };
    };
    const first = await make();
    await make();
    const before = server.messages.length;
    expect(await errorOf(ask("tools/call", { name: "t", arguments: {} }))).toEqual([-31006, "limit.tasks"]);
    expect(gateway.pipeline.refusals.at(-1)).toMatchObject({
      accounting: { limit: "open-tasks-principal", budget: 2 },
    });
    expect(server.messages.length).toBe(before);
    await make({ token: BOB });
    server.tasks = () => ({ ...stated("task-1", "completed", { result: DONE }) });
    await resultOf(ask("tasks/get", { taskId: first }));
    // A call that is refused takes no room, so nothing gives up its own for it.
    gateway.pipeline.policy = ({ target }) => (target.kind === "tool" ? DENIED : undefined);
    expect(await resultOf(ask("tools/call", { name: "t", arguments: {} }))).toMatchObject({ isError: true });
    expect(await resultOf(ask("tasks/get", { taskId: first }))).toMatchObject({ result: DONE });
    gateway.pipeline.policy = () => undefined;
    await make();
    expect(await errorOf(ask("tasks/get", { taskId: first }))).toEqual([-32602, "task.gone"]);
  });

  it("have room for the bytes of their calls, and a call beyond it is not sent", async () => {
    const long = { name: "t", arguments: { text: "x".repeat(2_000_000) } };
    let made = 0;
    server.calls = () => {
      made += 1;
      return { resultType: "task", ...stated(`task-${made}`, "working") };
    };
    const { taskId } = await resultOf(ask("tools/call", long));
    // As received and as sent: 4 MB of 8 MiB are taken.
    const longer = { name: "t", arguments: { text: "x".repeat(2_300_000) } };
    expect(await errorOf(ask("tools/call", longer))).toEqual([-31006, "limit.tasks"]);
    expect(gateway.pipeline.refusals.at(-1)?.accounting).toMatchObject({
      limit: "open-task-bytes-principal",
      budget: 8_388_608,
    });
    expect(made).toBe(1);
    server.tasks = () => ({ ...stated("task-1", "completed", { result: DONE }) });
    await resultOf(ask("tasks/get", { taskId }));
    expect(await resultOf(ask("tools/call", longer))).toMatchObject({ resultType: "task" });
  });

  it("are let go of when the edge closes, each with an end", async () => {
    await make();
    await gateway.closeEdge();
    expect(gateway.pipeline.tasks).toEqual([{ callId: "0", outcome: undefined }]);
  });
});

describe("a task that a fault of the gateway's keeps from its agent", () => {
  const callTask = (): Promise<unknown> => errorOf(ask("tools/call", { name: "t", arguments: {} }));

  it("leaves its room to the next one", async () => {
    let isFailing = true;
    const random = (length: number): Uint8Array => {
      // Of an id of a task.
      if (length === 12 && isFailing) throw new Error("the generator is gone");
      return randomBytes(length);
    };
    await gateway.close();
    const limits = { maxTasksPerCaller: 1 };
    gateway = await startTestGateway([httpServer("s", server.url)], { limits, randomBytes: random });
    expect(await callTask()).toEqual([-32603, "receipt.unavailable"]);
    isFailing = false;
    await make();
  });

  it("has its end all the same", async () => {
    await gateway.close();
    gateway = await startTestGateway([httpServer("s", server.url)], { limits: { maxTasksPerCaller: 1 } });
    const { finish } = gateway.pipeline;
    const withoutAnswer: typeof finish = async (ticket, outcome) => {
      const { returned: _, ...kept } = await finish(ticket, outcome);
      return kept;
    };
    Object.assign(gateway.pipeline, { finish: withoutAnswer });
    expect(await callTask()).toEqual([-32603, "receipt.unavailable"]);
    await expect.poll(() => gateway.pipeline.tasks).toEqual([{ callId: "0", outcome: undefined }]);
    Object.assign(gateway.pipeline, { finish });
    await make();
  });
});

describe("a task of an earlier run", () => {
  it("is said to be gone to the caller to whom it was given, and is no task to anybody else", async () => {
    const { task: tagTask } = makeKeyedNames(new Uint8Array(32).fill(7));
    const restart = async (): Promise<void> => {
      await gateway.close();
      gateway = await startTestGateway([httpServer("s", server.url)], { tagTask });
    };
    await restart();
    const id = await make();
    await restart();
    const before = server.messages.length;
    for (const method of ["tasks/get", "tasks/update", "tasks/cancel"]) {
      expect(await errorOf(ask(method, { taskId: id }))).toEqual([-32602, "task.gone"]);
      expect(await errorOf(ask(method, { taskId: id }, { token: BOB }))).toEqual([-32602, "task.unknown"]);
      for (let at = 0; at < id.length; at += 1) {
        const other = `${id.slice(0, at)}${id[at] === "A" ? "B" : "A"}${id.slice(at + 1)}`;
        if (method === "tasks/get")
          expect(await errorOf(ask(method, { taskId: other }))).toEqual([-32602, "task.unknown"]);
      }
    }
    expect(new Set(gateway.pipeline.refusals.map(({ reason }) => reason))).toEqual(
      new Set(["task.gone", "task.unknown"]),
    );
    expect(server.messages.length).toBe(before);
  });
});

describe("a task whose receipt cannot be kept", () => {
  it("is not given", async () => {
    gateway.pipeline.finishFails = true;
    expect(await errorOf(ask("tools/call", { name: "t", arguments: {} }))).toEqual([-32603, "receipt.unavailable"]);
    gateway.pipeline.finishFails = false;
    const id = await make();
    server.tasks = () => ({ ...stated("server-task-1", "completed", { result: DONE }) });
    gateway.pipeline.finishFails = true;
    expect(await errorOf(ask("tasks/get", { taskId: id }))).toEqual([-32603, "receipt.unavailable"]);
  });
});
