/**
 * Requests about tasks: `tasks/get`, `tasks/update`, `tasks/cancel`, and of legacy agents `tasks/result` and `tasks/list`. Each
 * is decided and recorded as round 1 of the call that made the task; a result that one carries ends the call, by the
 * policy of the call. Of another's task an agent learns what it learns of none.
 */

import { isJsonObject, type JsonObject } from "../../kernel/json/value.ts";
import type { CallOutcome, InboundCall } from "../pipeline/call.ts";
import type { UpstreamReply } from "../upstream/upstream.ts";
import { TASKS_EXTENSION } from "../wire/meta-keys.ts";
import { RPC, refusal, type WireRefusal } from "../wire/rpc-error.ts";
import type { AgentAnswer, AgentRequest } from "./agent-request.ts";
import { concluding, decide, denied, finish, recordedAnswer, withheld } from "./call-receipts.ts";
import { scopeRefusal } from "./forward.ts";
import { type Ended, outcomeOf } from "./outcome.ts";
import { refuseRequest } from "./refuse.ts";
import {
  answerCut,
  type ForwardDeps,
  gateOf,
  inboundCall,
  type Round,
  type RoutedCall,
  send,
  writers,
} from "./round-trip.ts";
import { endGone, readAnswer } from "./task-answers.ts";
import { wakeTask } from "./task-left.ts";
import { rememberedTask, TASK_PATH } from "./task-messages.ts";
import { answerPhantom } from "./task-phantom.ts";
import { hasLegacyTasks, hasTasksExtension } from "./task-support.ts";
import type { KeptTask } from "./task-table.ts";

/** What is said of a task of this agent's, asked or not. */
export interface TaskRound extends Pick<Round, "request" | "call" | "decided"> {
  readonly task: KeptTask;
}

/** Answers a request about one task. */
export async function callTask(deps: ForwardDeps, request: AgentRequest): Promise<AgentAnswer> {
  const { message } = request;
  const undeclared = declarationRefusal(deps, request);
  if (undeclared !== undefined) return refuseRequest(deps, undeclared, request);
  const { taskId } = message.params;
  if (typeof taskId !== "string") return refuseRequest(deps, MALFORMED, request);
  const task = deps.tasks.find(taskId, request);
  if (typeof task === "string") return refuseRequest(deps, unknownTask(task), request);
  const { serverId } = task;
  const upstream = deps.upstreams.get(serverId);
  if (upstream === undefined) return refuseRequest(deps, UNAVAILABLE, request, { serverId });
  const unscoped = scopeRefusal(deps, request, { route: { serverId, name: task.tool } });
  if (unscoped !== undefined) return refuseRequest(deps, unscoped, request, { serverId });
  const leg = request.legs?.leg(upstream) ?? upstream;
  const route = { serverId, name: task.upstreamId };
  const rename = { path: ["params", "taskId"], value: task.upstreamId };
  return run(deps, request, task, { type: "routed", route, upstream: leg, mirrored: [], rename });
}

/** Neither side has tasks of this era, or not both. */
export function declarationRefusal(
  { catalog }: Pick<ForwardDeps, "catalog">,
  { era, capabilities, mount }: AgentRequest,
): WireRefusal | undefined {
  const has = era === "modern" ? hasTasksExtension : hasLegacyTasks;
  const isOffered = mount.serverIds.some((id) => has(catalog.capabilities(id)));
  if (era === "legacy") return isOffered ? undefined : UNOFFERED;
  return isOffered && hasTasksExtension(capabilities.value) ? undefined : UNDECLARED;
}

async function run(deps: ForwardDeps, request: AgentRequest, task: KeptTask, routed: RoutedCall): Promise<AgentAnswer> {
  const id = routed.upstream.nextId();
  const call = taskCall(deps, request, task, routed, id);
  const decided = await decide(deps, call);
  if (decided === undefined) return withheld(request, undefined);
  if (decided.action === "refuse") return denied(request, decided.refusal, decided.receipt);
  return concluding(deps, decided, () => {
    if (decided.action === "phantom") return answerPhantom(deps, request, task, decided);
    return carryOut(deps, { request, routed, call, id, state: undefined, decided, task });
  });
}

async function carryOut(deps: ForwardDeps, round: Round & TaskRound): Promise<AgentAnswer> {
  const { request, routed, call, id, decided, task } = round;
  if (task.ticket === undefined) return answer(deps, round, endGone(round), 0);
  wakeTask(deps.pipeline, task, request, call.upstream, decided.ticket);
  const started = performance.now();
  const gate = gateOf(deps, round);
  const reply = await send(deps, request, routed, { ...call, toSend: decided.toSend }, id, gate);
  const upstreamUs = Math.round((performance.now() - started) * 1000);
  if (gate?.cut !== undefined) return answerCut(deps, round, gate, gate.cut, upstreamUs);
  const ended = await settle(deps, round, reply, upstreamUs);
  if (ended === "withheld") return withheld(request, decided.receipt);
  const given = await answer(deps, round, ended, upstreamUs);
  gate?.release();
  return given;
}

function taskCall(
  deps: ForwardDeps,
  request: AgentRequest,
  task: KeptTask,
  routed: RoutedCall,
  id: number,
): InboundCall {
  const call = inboundCall(deps, request, routed, id, "task", undefined);
  const isPhantom = task.ticket === undefined ? ({ isAnsweredHere: true } as const) : {};
  return { ...call, ...isPhantom, taskTool: task.tool, round: { index: 1, firstSeq: task.firstSeq } };
}

async function settle(
  deps: ForwardDeps,
  round: TaskRound,
  reply: UpstreamReply,
  upstreamUs: number,
): Promise<Ended | "withheld"> {
  if (reply.type !== "answered" || !isJsonObject(reply.body["result"])) return outcomeOf(reply, ...writers(round));
  return readAnswer(deps, round, { ...reply, result: reply.body["result"] }, upstreamUs);
}

/** What a legacy agent was given of its task is what its list says. */
function remember({ task, request }: TaskRound, { status, returned }: CallOutcome): void {
  const isState = request.message.method === "tasks/get" || request.message.method === "tasks/cancel";
  if (task.era !== "legacy" || !isState || returned === undefined) return;
  if (status === "ok" || status === "redacted") task.last = rememberedTask(returned, TASK_PATH);
}

async function answer(deps: ForwardDeps, round: TaskRound, ended: Ended, upstreamUs: number): Promise<AgentAnswer> {
  const { request, decided } = round;
  const kept = await finish(deps, decided, { ...ended.outcome, upstreamUs });
  if (kept === undefined) return withheld(request, decided.receipt);
  remember(round, kept);
  return recordedAnswer(request, decided.receipt, kept);
}

/** What the agent is told of a task that is not there, or not its own: the same. Of its own that was, it is told so. */
export function unknownTask(why: "unknown" | "foreign" | "gone"): WireRefusal {
  if (why === "gone") return GONE;
  const recorded = why === "foreign" ? ({ recorded: "task.foreign" } as const) : {};
  return refusal("route", "task.unknown", RPC.invalidParams, 200, "there is no such task", recorded);
}

const REQUIRED: JsonObject = { extensions: { [TASKS_EXTENSION]: {} } };
/** SPEC ext-tasks: the error of a request about tasks by a client that does not declare the extension. */
export const UNDECLARED: WireRefusal = refusal(
  "classify",
  "mcp.capability-missing",
  RPC.missingCapability,
  400,
  "the tasks extension is not declared on both sides",
  { data: { requiredCapabilities: REQUIRED } },
);
/** To a legacy agent whose servers have no tasks. */
export const UNOFFERED: WireRefusal = refusal(
  "classify",
  "bridge.unsupported",
  RPC.methodNotFound,
  200,
  "no server here has tasks",
);
const GONE = refusal(
  "route",
  "task.gone",
  RPC.invalidParams,
  200,
  "this task is kept no more: it is over, or the gateway was started anew; its receipts say how it ended",
);
const MALFORMED = refusal("classify", "rpc.shape", RPC.invalidParams, 200, "params.taskId is missing or malformed");
const UNAVAILABLE = refusal("route", "server.unavailable", RPC.internal, 200, "the server is not connected");
