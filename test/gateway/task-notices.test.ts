/** What legacy servers say of tasks unasked: of the agent's own alone, under a decision, and once of an end. */

import { randomBytes } from "node:crypto";
import { afterEach, describe, expect, it } from "vitest";
import { callerKey } from "../../gateway/edge/caller-key.ts";
import { DEFAULT_EDGE_LIMITS } from "../../gateway/edge/edge-options.ts";
import { RuleChanges } from "../../gateway/edge/rule-changes.ts";
import { type KeptTask, ownerOf, TaskTable } from "../../gateway/edge/task-table.ts";
import type { SessionKey } from "../../gateway/pipeline/call.ts";
import { openLegacySession } from "../support/legacy-session.ts";
import { localCaller } from "../support/mcp-gateway.ts";
import { DENIED, type FakePipeline, makeFakePipeline } from "../support/mcp-pipeline.ts";

const caller = localCaller("alice");
const session: SessionKey = { key: "k", source: "mcp-session-id", trust: "authenticated" };
const TIME = "2025-11-25T10:30:00Z";

/** One agent's session at a server, whose side the test plays, with one task of it. */
interface Side {
  readonly pipeline: FakePipeline;
  readonly rules: RuleChanges;
  readonly task: KeptTask;
  readonly told: readonly string[];
  /** Faults. */
  readonly logged: readonly object[];
  readonly says: (taskId: string, status: string, more?: object) => void;
}

const close: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const one of close.splice(0)) await one();
});

function start(): Side {
  const pipeline = makeFakePipeline();
  const rules = new RuleChanges();
  const logged: object[] = [];
  const logger = { info: () => undefined, warn: () => undefined, error: (line: object) => void logged.push(line) };
  const tasks = new TaskTable({ ...DEFAULT_EDGE_LIMITS, pipeline, logger, nowMs: () => 1_000, randomBytes });
  const { told, hears, ...legs } = openLegacySession({ tasks, rules, pipeline, logger }, caller, session);
  close.push(
    () => legs.close(),
    () => tasks.close(),
  );
  const place = tasks.enter(caller, 0);
  if (place.type !== "taken") throw new Error("no place");
  const task = tasks.open({
    id: tasks.newId(caller),
    upstreamId: "one",
    serverId: "s",
    tool: "t",
    era: "legacy",
    owner: ownerOf({ caller, session }),
    caller: callerKey(caller),
    ticket: { callId: "call", receipt: { stream: "ab".repeat(32), seq: 7 } },
    firstSeq: 7,
    place,
    last: "{}",
    status: "working",
    ttlMs: null,
  });
  const says = (taskId: string, status: string, more: object = {}): void => {
    const params = { taskId, status, createdAt: TIME, lastUpdatedAt: TIME, ttl: null, ...more };
    hears(JSON.stringify({ jsonrpc: "2.0", method: "notifications/tasks/status", params }));
  };
  return { pipeline, rules, task, told, logged, says };
}

function params({ told }: Side): readonly Readonly<Record<string, unknown>>[] {
  return told.map((text) => JSON.parse(text).params);
}

describe("a notice of a task's status", () => {
  it("reaches the agent under its own name, decided once and again when rules have changed", async () => {
    const side = start();
    const { pipeline, rules, task, says } = side;
    says("one", "working", { statusMessage: "a third" });
    says("one", "working", { statusMessage: "two thirds" });
    await expect.poll(() => side.told).toHaveLength(2);
    expect(params(side)).toMatchObject([{ taskId: task.id, statusMessage: "a third" }, { taskId: task.id }]);
    // What the gateway does not keep for ever is not promised for ever.
    expect(params(side)[0]?.["ttl"]).toBe(DEFAULT_EDGE_LIMITS.maxTaskMs);
    expect(pipeline.calls).toMatchObject([
      {
        target: { kind: "task", name: "one" },
        taskTool: "t",
        round: { index: 1, firstSeq: 7 },
        isAnsweredHere: true,
        isUnasked: true,
      },
    ]);
    rules.tell();
    pipeline.policy = () => DENIED;
    says("one", "working", { statusMessage: "all" });
    says("one", "completed");
    await expect.poll(() => pipeline.calls).toHaveLength(3);
    expect(side.told).toHaveLength(2);
    expect(JSON.parse(task.last)).toMatchObject({ taskId: task.id, statusMessage: "two thirds" });
    pipeline.policy = () => undefined;
    says("one", "completed");
    await expect.poll(() => side.told).toHaveLength(3);
    expect(task.status).toBe("completed");
    // `tasks/result` has the result, and that is the end of the call.
    expect(pipeline.tasks).toEqual([]);
  });

  it("that may not be told is decided so many times and no more until rules change, whatever its server says", async () => {
    const side = start();
    const { pipeline, rules, says } = side;
    let looked = 0;
    pipeline.mayTell = () => {
      looked += 1;
      return true;
    };
    pipeline.policy = () => DENIED;
    for (let at = 0; at < 100; at += 1) says("one", "working");
    await expect.poll(() => looked).toBe(100);
    pipeline.policy = () => undefined;
    says("one", "working");
    await expect.poll(() => looked).toBe(101);
    expect([pipeline.calls.length, side.told]).toEqual([16, []]);
    rules.tell();
    says("one", "completed");
    await expect.poll(() => side.told).toHaveLength(1);
    expect(params(side)).toMatchObject([{ status: "completed" }]);
    expect(pipeline.calls).toHaveLength(17);
  });

  it.each([
    ["failed", "task_failed"],
    ["cancelled", "cancelled"],
  ])("of a task that has %s ends its call before the agent is told", async (status, outcome) => {
    const side = start();
    side.pipeline.end = (ended) => {
      expect(side.told).toEqual([]);
      return ended;
    };
    side.says("one", status);
    await expect.poll(() => side.told).toHaveLength(1);
    expect(side.pipeline.tasks).toMatchObject([{ callId: "call", outcome: { status: outcome, effect: "unknown" } }]);
  });

  it("that an answer to the agent was quicker than is not told, and the task stays ended", async () => {
    const side = start();
    side.pipeline.policy = () => {
      side.task.status = "completed";
      return undefined;
    };
    side.says("one", "working");
    side.says("one", "completed");
    await expect.poll(() => side.told).toHaveLength(1);
    expect(params(side)).toMatchObject([{ status: "completed" }]);
    expect(side.task.status).toBe("completed");
  });

  it("that cannot be passed on for a fault of the gateway's ends nothing: the next one is told", async () => {
    const side = start();
    side.pipeline.mayTell = () => {
      throw new RangeError("no memory");
    };
    side.says("one", "working");
    await expect.poll(() => side.logged).toMatchObject([{ code: "ERR_BUG", server: "s" }]);
    side.pipeline.mayTell = () => true;
    side.says("one", "working");
    await expect.poll(() => side.told).toHaveLength(1);
  });

  it("of another's task, of another end than before, without a status, or that may not pass is not told", async () => {
    const side = start();
    const { pipeline, says } = side;
    says("another", "working");
    says("one", "completed");
    await expect.poll(() => side.told).toHaveLength(1);
    says("one", "working");
    says("one", "asleep");
    await expect.poll(() => pipeline.refusals).toHaveLength(2);
    pipeline.mayTell = () => false;
    says("one", "completed");
    await expect.poll(() => pipeline.refusals).toHaveLength(3);
    expect(pipeline.refusals.map(({ step, reason }) => [step, reason])).toEqual([
      ["classify", "upstream.protocol"],
      ["classify", "upstream.protocol"],
      ["inspect", "inspect.block"],
    ]);
    expect(side.told).toHaveLength(1);
  });

  it("is not told if its receipt or the end of its call cannot be kept", async () => {
    const side = start();
    side.pipeline.finishFails = true;
    side.says("one", "failed");
    await expect.poll(() => side.pipeline.calls).toHaveLength(1);
    side.pipeline.finishFails = false;
    side.pipeline.policy = () => {
      side.pipeline.finishFails = side.pipeline.calls.length === 2;
      return undefined;
    };
    side.says("one", "failed");
    side.says("one", "failed");
    await expect.poll(() => side.told).toHaveLength(1);
    expect(side.pipeline.calls).toHaveLength(3);
    expect(side.pipeline.tasks).toHaveLength(1);
  });

  it("waits behind few others: a server that says more than is looked at is not heard", async () => {
    const side = start();
    for (let at = 0; at < 1_000; at += 1) side.says("one", "working", { statusMessage: String(at) });
    await expect.poll(() => side.told).toHaveLength(256);
    side.says("one", "completed");
    await expect.poll(() => side.told).toHaveLength(257);
  });
});
