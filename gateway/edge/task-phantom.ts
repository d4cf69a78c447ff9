/**
 * Tasks of a subject in quarantine: invented ones, and real ones that nothing is asked about any more. They go on as tasks
 * do, and end with a result that their tool could have had; no server is told.
 */

import { formatUtf8 } from "../../kernel/bytes.ts";
import { parseJson } from "../../kernel/json/parse.ts";
import { isJsonObject, type JsonObject } from "../../kernel/json/value.ts";
import { formatTimestamp } from "../../kernel/time.ts";
import type { Decided } from "../pipeline/call.ts";
import { META } from "../wire/meta-keys.ts";
import { errorResponse, RPC, resultResponse } from "../wire/rpc-error.ts";
import type { AgentAnswer, AgentRequest } from "./agent-request.ts";
import { finish, recordedAnswer, withheld } from "./call-receipts.ts";
import { callerKey } from "./caller-key.ts";
import type { ForwardDeps, RoutedCall } from "./round-trip.ts";
import { isEnd } from "./task-messages.ts";
import { type KeptTask, ownerOf } from "./task-table.ts";

type Phantom = Extract<Decided, { action: "phantom" }>;

/** The task that a legacy agent asked for, which nobody has. */
export async function makePhantom(
  deps: ForwardDeps,
  request: AgentRequest,
  { route }: RoutedCall,
  decided: Phantom,
): Promise<AgentAnswer> {
  const { tasks } = deps;
  const id = tasks.newId(request.caller);
  const given = request.message.params["task"];
  const ttl = isJsonObject(given) && typeof given["ttl"] === "number" ? given["ttl"] : null;
  const time = formatTimestamp(tasks.nowMs());
  const task = { taskId: id, status: "working", createdAt: time, lastUpdatedAt: time, ttl: tasks.promised(ttl) ?? ttl };
  const answer = await give(deps, request, decided, { task });
  const phantomMs = tasks.inventedEnd();
  const place = tasks.enter(request.caller, 0);
  if (place.type === "taken") {
    tasks.open({
      id,
      upstreamId: "",
      serverId: route.serverId,
      tool: route.name,
      era: "legacy",
      owner: ownerOf(request),
      caller: callerKey(request.caller),
      ticket: undefined,
      firstSeq: decided.receipt.seq,
      place,
      status: "working",
      last: JSON.stringify(task),
      ttlMs: ttl,
      phantomMs,
    });
  }
  return answer;
}

/** An answer about a task as if a server had given it. */
export async function answerPhantom(
  deps: ForwardDeps,
  request: AgentRequest,
  task: KeptTask,
  decided: Phantom,
): Promise<AgentAnswer> {
  // What has ended with a result of its server's cannot end with another; servers forget tasks that have ended.
  if (task.ticket !== undefined && task.end !== undefined) return forgotten(deps, request, decided);
  task.phantomMs ??= deps.tasks.inventedEnd();
  switch (request.message.method) {
    case "tasks/get":
      return give(deps, request, decided, stateOf(deps, task, decided));
    case "tasks/cancel":
      return cancel(deps, request, task, decided);
    case "tasks/result":
      return give(deps, request, decided, resultOf(task, decided));
    default:
      return give(deps, request, decided, {});
  }
}

/** The task as it would be now. */
function stateOf(deps: ForwardDeps, task: KeptTask, { answer }: Phantom): JsonObject {
  const now = deps.tasks.nowMs();
  const isOver = task.phantomMs !== undefined && task.phantomMs <= now;
  if (isOver && !isEnd(task.status)) task.status = "completed";
  else if (!isEnd(task.status)) task.status = "working";
  const { result: _, error: __, inputRequests: ___, ...last } = textOf(task);
  const time = formatTimestamp(Math.min(now, task.phantomMs ?? now));
  const state = { ...last, taskId: task.id, status: task.status, lastUpdatedAt: time };
  return task.era === "modern" && task.status === "completed" ? { ...state, result: answer.result } : state;
}

function textOf({ last }: KeptTask): JsonObject {
  const value = parseJson(formatUtf8(last), { numbers: "rounded", maxBytes: Number.MAX_SAFE_INTEGER });
  const { resultType: _, _meta: __, ...task } = isJsonObject(value) ? value : {};
  return task;
}

/** SPEC MCP 2025-11-25: the answer names its task. */
function resultOf(task: KeptTask, { answer }: Phantom): JsonObject {
  task.status = isEnd(task.status) ? task.status : "completed";
  return { ...answer.result, _meta: { [META.relatedTask]: { taskId: task.id } } };
}

async function cancel(
  deps: ForwardDeps,
  request: AgentRequest,
  task: KeptTask,
  decided: Phantom,
): Promise<AgentAnswer> {
  if (task.era === "legacy" && isEnd(task.status)) return forgotten(deps, request, decided);
  if (!isEnd(task.status)) task.status = "cancelled";
  return give(deps, request, decided, task.era === "legacy" ? stateOf(deps, task, decided) : {});
}

async function give(
  deps: ForwardDeps,
  request: AgentRequest,
  decided: Phantom,
  result: JsonObject,
): Promise<AgentAnswer> {
  const whole = request.era === "modern" ? { resultType: "complete", ...result } : result;
  return record(deps, request, decided, resultResponse(request.idText, JSON.stringify(whole)));
}

function forgotten(deps: ForwardDeps, request: AgentRequest, decided: Phantom): Promise<AgentAnswer> {
  const message = "Failed to retrieve task: Task not found";
  return record(deps, request, decided, errorResponse(request.idText, RPC.invalidParams, message, {}));
}

async function record(
  deps: ForwardDeps,
  request: AgentRequest,
  decided: Phantom,
  returned: Uint8Array,
): Promise<AgentAnswer> {
  await decided.answer.wait();
  const outcome = { status: "phantom", effect: "none", returned, upstreamUs: 0, uninspectedBytes: 0 } as const;
  const kept = await finish(deps, decided, outcome);
  return kept === undefined ? withheld(request, decided.receipt) : recordedAnswer(request, decided.receipt, kept);
}
