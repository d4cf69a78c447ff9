import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ALICE, BOB, httpServer, startTestGateway, type TestGateway } from "../support/mcp-gateway.ts";
import {
  connectOldTaskClient,
  type OldTaskClient,
  type OldTaskServer,
  startOldTaskServer,
} from "../support/old-task-peers.ts";

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
