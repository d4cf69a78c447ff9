/** What is kept of a task that a message states: its own text, and nothing of the message around it. */

import { describe, expect, it } from "vitest";
import { readTask, rememberedTask, type StatedTask } from "../../gateway/edge/task-messages.ts";
import { readMessage } from "../../gateway/wire/rpc.ts";
import { formatUtf8 } from "../../kernel/bytes.ts";
import { isJsonObject } from "../../kernel/json/value.ts";
import { heldBy } from "../support/held-bytes.ts";

const MESSAGES = 32;
const MESSAGE = 1024 * 1024;
const WARM = 4;
const TIME = "2025-11-25T10:30:00Z";

/** An answer that has a task, and much beside it. */
function answer(at: number): Uint8Array {
  const task = { taskId: `the-id-of-a-task-at-its-server-${at}`, status: "input_required", createdAt: TIME };
  const result = { task, _meta: { beside: "x".repeat(MESSAGE) } };
  return formatUtf8(JSON.stringify({ jsonrpc: "2.0", id: at, result }));
}

function stated(bytes: Uint8Array): StatedTask {
  const message = readMessage(bytes, "egress", 2 * MESSAGE);
  const result = message.type === "response" ? message.value["result"] : undefined;
  const task = isJsonObject(result) ? readTask(result["task"], "legacy") : undefined;
  if (task === undefined) throw new Error("no task");
  return task;
}

describe("what is kept of a task", () => {
  it.each([
    ["its id and status", (bytes: Uint8Array): unknown => stated(bytes)],
    ["its text for lists", (bytes: Uint8Array): unknown => rememberedTask(bytes, ["result", "task"])],
  ])("is %s, and no answer", (_name, keep) => {
    const kept: unknown[] = [];
    const keepMany = (): void => {
      for (let at = 0; at < MESSAGES; at += 1) kept.push(keep(answer(at)));
    };
    // The first rounds in a process hold messages of which nothing is kept, too.
    for (let times = 0; times < WARM; times += 1) heldBy(keepMany);
    const held = heldBy(keepMany);
    expect(kept).toHaveLength((WARM + 1) * MESSAGES);
    expect(held).toBeLessThan((MESSAGES * MESSAGE) / 4);
  });

  it("reads as the message says it", () => {
    expect(stated(answer(7))).toEqual({
      taskId: "the-id-of-a-task-at-its-server-7",
      status: "input_required",
      ttlMs: null,
    });
    const text = rememberedTask(answer(7), ["result", "task"]);
    expect(JSON.parse(text)).toMatchObject({ taskId: "the-id-of-a-task-at-its-server-7", createdAt: TIME });
  });
});
