/**
 * Calls that their servers make tasks of. A legacy agent asks for one (`task` in the params), and is refused where its tool
 * cannot be one; a modern agent takes one from a server when it declares the extension. Either is decided, limited and
 * recorded like the call that it is; the first outcome says that the task was taken.
 */

import { invariant } from "../../kernel/errors.ts";
import { isJsonObject } from "../../kernel/json/value.ts";
import type { CallOutcome, DecisionTicket } from "../pipeline/call.ts";
import type { UpstreamReply } from "../upstream/upstream.ts";
import { RPC, refusal, type WireRefusal } from "../wire/rpc-error.ts";
import type { AgentRequest } from "./agent-request.ts";
import { callerKey } from "./caller-key.ts";
import type { FullPlace } from "./in-flight.ts";
import { type Ended, refusedOutcome } from "./outcome.ts";
import { type ForwardDeps, type Round, type RoutedCall, writers } from "./round-trip.ts";
import { madePath, readTask, rememberedTask, type StatedTask, withRelatedTask, withTask } from "./task-messages.ts";
import { hasLegacyTasks, hasTasksExtension, TASKS_REVISION } from "./task-support.ts";
import { type KeptTask, type NewTask, ownerOf } from "./task-table.ts";
import { routedToolFacts } from "./tool-facts.ts";

/** A call of which its server made a task. */
export interface MadeTask {
  readonly ended: Ended;
  /** Told what became of the answer: the task is kept if the agent gets it. */
  readonly settle: (kept: CallOutcome | undefined) => void;
}

/** True if the agent asks for a task, as legacy agents do. */
export function asksForTask({ era, message }: Pick<AgentRequest, "era" | "message">): boolean {
  return era === "legacy" && message.params["task"] !== undefined;
}

/** Why an agent's own ask for a task is not taken here; undefined if it is, or if it asks for none. */
export function taskRefusal(deps: ForwardDeps, request: AgentRequest, routed: RoutedCall): WireRefusal | undefined {
  if (!asksForTask(request)) return undefined;
  if (!isJsonObject(request.message.params["task"])) return MALFORMED;
  const facts = routed.upstream.facts();
  const support = routedToolFacts(deps.catalog, routed.route)?.taskSupport;
  const isSpoken = facts.era === "legacy" && (facts.revision ?? TASKS_REVISION) === TASKS_REVISION;
  const isDeclared = hasLegacyTasks(deps.catalog.capabilities(routed.route.serverId));
  // SPEC MCP 2025-11-25: a tool that does not say that it can be a task is not called as one.
  return isSpoken && isDeclared && support !== undefined ? undefined : UNBRIDGED;
}

const UNBRIDGED = refusal(
  "classify",
  "bridge.unsupported",
  RPC.methodNotFound,
  200,
  "this tool cannot be called as a task",
);
const MALFORMED = refusal("classify", "rpc.shape", RPC.invalidParams, 200, "params.task is not an object");

/** True if the server may answer with a task, which the agent then has to have a place for. */
function mayMake(deps: ForwardDeps, request: AgentRequest, { route, upstream }: RoutedCall): boolean {
  if (request.message.method !== "tools/call") return false;
  if (asksForTask(request)) return true;
  return request.era === "modern" && upstream.facts().era === "modern" && isCarried(deps, request, route.serverId);
}

/** True if both sides declare the extension. */
export function isCarried(
  { catalog }: Pick<ForwardDeps, "catalog">,
  { capabilities }: AgentRequest,
  serverId: string,
): boolean {
  return hasTasksExtension(capabilities.value) && hasTasksExtension(catalog.capabilities(serverId));
}

/** The bound that the agent has reached with its tasks, if it has. */
export function taskBound(deps: ForwardDeps, request: AgentRequest, routed: RoutedCall): FullPlace | undefined {
  if (!mayMake(deps, request, routed)) return undefined;
  // What is sent is about as long as what was received: a task that its server has begun is not refused for a bound that was near.
  return deps.tasks.bound(request.caller, 2 * request.received.length);
}

/** The refusal of a call for which there is no place. */
export function fullRefusal({ reason, accounting }: FullPlace): WireRefusal {
  const { limit, budget, consumed, reserved } = accounting;
  const data = { limit, budget, consumed, reserved };
  return refusal("limits", reason, RPC.limit, 200, "too many tasks are open", { data });
}

/** The task that an answer says it is; undefined if it is another answer. */
export function madeTask(deps: ForwardDeps, round: Round, reply: UpstreamReply): MadeTask | undefined {
  const { request, routed, call } = round;
  if (reply.type !== "answered" || call.target.kind !== "tool") return undefined;
  const { result } = reply.body;
  if (!isJsonObject(result)) return undefined;
  const { era } = call.upstream;
  const isAsked = era === "modern" ? mayMake(deps, request, routed) : asksForTask(request);
  // A result of a legacy tool may have a member of this name beside its content.
  const isLegacyTask = isJsonObject(result["task"]) && (isAsked || result["content"] === undefined);
  if (era === "modern" ? result["resultType"] !== "task" : !isLegacyTask) return undefined;
  const stated = isAsked ? readTask(era === "modern" ? result : result["task"], era) : undefined;
  return stated === undefined ? refused(round, reply) : take(deps, round, reply, stated);
}

/** What nobody asked for, or what is no task. */
function refused(round: Round, reply: Extract<UpstreamReply, { type: "answered" }>): MadeTask {
  const [, makeError] = writers(round);
  const bytes = makeError(RPC.internal, "upstream.protocol", "the server's answer cannot be passed on");
  return { ended: refusedOutcome("upstream_error", RPC.internal, reply.bytes, bytes), settle: () => undefined };
}

function take(
  deps: ForwardDeps,
  round: Round,
  reply: Extract<UpstreamReply, { type: "answered" }>,
  stated: StatedTask,
): MadeTask {
  const { tasks } = deps;
  const { request, call } = round;
  const { era } = call.upstream;
  const key = { serverId: call.serverId, owner: ownerOf(request), era, upstreamId: stated.taskId };
  const [passOn, makeError] = writers(round);
  const id = tasks.newId(request.caller);
  const ttlMs = tasks.promised(stated.ttlMs);
  const named = withTask(reply.text, madePath(era), era, { id, ...(ttlMs === undefined ? {} : { ttlMs }) });
  const returned = passOn(withRelatedTask(named, "result", id));
  // Last, so that nothing can fail between them and the answer: nobody would give id and room back.
  // SPEC MCP: ids are unique among the tasks of a server. One that stands for two would give one agent another's results.
  const release = tasks.claim(key);
  if (release === undefined) return refused(round, reply);
  const place = tasks.enter(request.caller, request.received.length + call.toSend.length);
  if (place.type === "full") {
    release();
    const error = makeError(RPC.limit, place.reason, "too many tasks are open");
    return { ended: refusedOutcome("blocked", RPC.limit, reply.bytes, error), settle: () => undefined };
  }
  const outcome = { status: "task_created", effect: "unknown", received: reply.bytes, returned } as const;
  const task = { ...key, ...taskOf(round), caller: callerKey(request.caller), id, place };
  return {
    ended: { bytes: returned, outcome: { ...outcome, uninspectedBytes: 0 } },
    settle: (kept) => {
      release();
      if (kept?.status === "task_created") keep(deps, round, { ...task, ...stated }, kept.returned);
      else place.leave();
    },
  };
}

/** Keeps a task whose call is recorded as one. @param given  what its agent gets; undefined: it never learns of the task */
function keep(
  { tasks }: Pick<ForwardDeps, "tasks">,
  { request, call, decided }: Round,
  { taskId: _, ...task }: Omit<NewTask, "last"> & Pick<StatedTask, "taskId">,
  given: Uint8Array | undefined,
): void {
  try {
    invariant(given !== undefined, "a task is recorded as given to its agent, and is not");
    const opened = tasks.open({ ...task, last: rememberedTask(given, madePath(task.era)) });
    // A child of the gateway, and its tasks, end with it.
    if (call.upstream.transport === "http") tasks.leaveOn(opened, request.caller);
  } catch (error) {
    task.place.leave();
    tasks.lose(decided.ticket);
    throw error;
  }
}

function taskOf({
  call,
  state,
  decided,
}: Round): Pick<KeptTask, "tool" | "firstSeq"> & { readonly ticket: DecisionTicket } {
  return { tool: call.target.name, ticket: decided.ticket, firstSeq: state?.firstSeq ?? decided.receipt.seq };
}
