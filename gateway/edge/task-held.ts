/**
 * Calls that are tasks at a server and cannot be tasks for their agent, or the other way round: neither of the two protocols becomes
 * the other (specs: never bridged). A `task` that means nothing here is left out, and where a server makes tasks only, the gateway
 * takes the task in the agent's place and gives it the plain answer.
 */

import { isJsonObject } from "../../kernel/json/value.ts";
import type { InboundCall } from "../pipeline/call.ts";
import type { UpstreamReply } from "../upstream/upstream.ts";
import { TASKS_EXTENSION } from "../wire/meta-keys.ts";
import { RPC } from "../wire/rpc-error.ts";
import { applyEdits, editMembers, spanOf } from "../wire/spans.ts";
import type { AgentRequest } from "./agent-request.ts";
import { withMembers } from "./bridged-rounds.ts";
import type { ForwardDeps, Round, RoutedCall } from "./round-trip.ts";
import { hasTasksExtension, isTaskHeard } from "./task-support.ts";
import { routedToolFacts } from "./tool-facts.ts";

/**
 * The request without a `task` that means nothing here: to an agent that was told of no tasks, and to one of another era.
 *
 * SPEC MCP 2025-11-25: who does not declare tasks of a request MUST process it as if there were no such member.
 */
export function withoutTask(deps: ForwardDeps, request: AgentRequest, routed: RoutedCall): AgentRequest {
  const { message, era } = request;
  if (message.params["task"] === undefined) return request;
  const isForServer = era === "legacy" || routed.upstream.facts().era === "legacy";
  const isHeard = era === "legacy" && message.method === "tools/call" && isTaskHeard(deps.catalog, request);
  if (!isForServer || isHeard) return request;
  const { task: _, ...params } = message.params;
  const span = spanOf(message.text, ["params"]);
  const edit = span === undefined ? undefined : editMembers(message.text, span, {}, (key) => key === "task");
  const text = edit === undefined ? message.text : applyEdits(message.text, [edit]);
  return { ...request, message: { ...message, text, params, value: { ...message.value, params } } };
}

/** The call as one for a task, if its tool is not called otherwise and the agent has no way to ask for one. */
export function asHeldTask(
  deps: Pick<ForwardDeps, "catalog">,
  request: AgentRequest,
  { route }: Pick<RoutedCall, "route">,
  call: InboundCall,
): InboundCall {
  const isOfTwoEras = request.era === "modern" && call.upstream.era === "legacy" && call.target.kind === "tool";
  if (!isOfTwoEras || routedToolFacts(deps.catalog, route)?.taskSupport !== "required") return call;
  return { ...call, toSend: withMembers(call.toSend, { task: "{}" }) };
}

/** True if a modern server makes a task of this call or nothing, and its agent is one that could never say that it takes one. */
export function needsTask(
  { catalog }: Pick<ForwardDeps, "catalog">,
  { request, call }: Round,
  reply: UpstreamReply,
): boolean {
  if (request.era !== "legacy" || call.upstream.era !== "modern" || call.target.kind !== "tool") return false;
  if (reply.type !== "answered" || hasTasksExtension(request.capabilities.value)) return false;
  if (!hasTasksExtension(catalog.capabilities(call.serverId))) return false;
  const { error } = reply.body;
  const data = isJsonObject(error) && error["code"] === RPC.missingCapability ? error["data"] : undefined;
  return isJsonObject(data) && hasTasksExtension(data["requiredCapabilities"]);
}

/** The request of an agent in whose place the gateway takes a task. */
export function takingTasks(request: AgentRequest): AgentRequest {
  const { value, text } = request.capabilities;
  const given = value["extensions"];
  const extensions = { ...(isJsonObject(given) ? given : {}), [TASKS_EXTENSION]: {} };
  const span = { start: text.indexOf("{"), end: text.length };
  const edit = editMembers(text, span, { extensions: JSON.stringify(extensions) }, () => false);
  const declared = edit === undefined ? text : applyEdits(text, [edit]);
  return { ...request, capabilities: { value: { ...value, extensions }, text: declared } };
}
