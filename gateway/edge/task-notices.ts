/**
 * `notifications/tasks/status` of legacy servers: where a task is, said unasked. The first of a task is decided as a request about
 * it would be, and so is the first behind a change of rules; all are inspected, and an end without a result ends the call.
 */

import { formatUtf8 } from "../../kernel/bytes.ts";
import type { ReasonCode } from "../../kernel/receipt/reasons.ts";
import type { InboundCall, UpstreamFacts } from "../pipeline/call.ts";
import { messageToAgent } from "../wire/bridge.ts";
import type { RpcNotification } from "../wire/rpc.ts";
import type { AskedAgent } from "./ask-agent.ts";
import { decide, finish, finishTask, type ReceiptDeps } from "./call-receipts.ts";
import { keepRefusal } from "./refuse.ts";
import type { RuleChanges } from "./rule-changes.ts";
import { isEnd, readTask, rememberedTask, type StatedTask, withTask } from "./task-messages.ts";
import type { KeptTask, TaskTable } from "./task-table.ts";

/** The notice of a legacy server. */
export const TASK_STATUS = "notifications/tasks/status";

/** What passing them on needs. */
export interface StatusDeps extends ReceiptDeps {
  readonly tasks: Pick<TaskTable, "promised" | "renew">;
  readonly rules: Pick<RuleChanges, "count">;
}

/** What a server says of a task of this agent's. */
export interface SaidStatus {
  readonly task: KeptTask;
  readonly message: RpcNotification;
  readonly upstream: UpstreamFacts;
}

const PARAMS: readonly string[] = ["params"];

/** @returns the notice as the agent gets it; undefined if it gets none */
export async function statusToAgent(
  deps: StatusDeps,
  agent: AskedAgent,
  said: SaidStatus,
): Promise<Uint8Array | undefined> {
  const { task, message } = said;
  const stated = readTask(message.params, "legacy");
  if (stated === undefined || isOverOtherwise(task, stated)) {
    return refuseStatus(deps, agent, said, "upstream.protocol");
  }
  const ttlMs = deps.tasks.promised(stated.ttlMs);
  const edit = { id: task.id, ...(ttlMs === undefined ? {} : { ttlMs }) };
  const bytes = messageToAgent(withTask(message.text, PARAMS, "legacy", edit), agent.transport === "stdio");
  if (!deps.pipeline.mayTell(bytes)) return refuseStatus(deps, agent, said, "inspect.block");
  if (!(await isPermitted(deps, agent, said))) return undefined;
  // An answer to the agent may have been quicker than the decision.
  if (isOverOtherwise(task, stated)) return undefined;
  task.status = stated.status;
  deps.tasks.renew(task, stated.ttlMs);
  if (!(await isEndKept(deps, said, stated))) return undefined;
  task.last = rememberedTask(bytes, PARAMS);
  return bytes;
}

/** SPEC MCP 2025-11-25: what has ended stays as it is. */
function isOverOtherwise(task: KeptTask, { status }: StatedTask): boolean {
  return isEnd(task.status) && task.status !== status;
}

/** Notices of one task that are decided while none may be told: how many come is the server's will, and no agent's rate bounds it. */
const MAX_UNTOLD = 16;

/** Decides whether the agent may be told of this task, unless that was decided under the rules that hold. */
async function isPermitted(deps: StatusDeps, agent: AskedAgent, said: SaidStatus): Promise<boolean> {
  const { task } = said;
  const { count } = deps.rules;
  if (task.toldUnder === count) return true;
  const untold = task.untold?.under === count ? task.untold.times : 0;
  if (untold >= MAX_UNTOLD) return false;
  const decided = await decide(deps, statusCall(agent, said));
  if (decided === undefined) return false;
  if (decided.action !== "forward") task.untold = { under: count, times: untold + 1 };
  if (decided.action === "refuse") return false;
  const received = formatUtf8(said.message.text);
  const common = { received, upstreamUs: 0, uninspectedBytes: 0 };
  const isForward = decided.action === "forward";
  const facts = isForward ? ({ status: "ok", effect: "done" } as const) : PHANTOM;
  const kept = await finish(deps, decided, { ...facts, ...common });
  if (kept === undefined || !isForward) return false;
  task.toldUnder = count;
  return true;
}

const PHANTOM = { status: "phantom", effect: "none" } as const;

function statusCall(
  { caller, session, transport, revision }: AskedAgent,
  { task, message, upstream }: SaidStatus,
): InboundCall {
  return {
    wire: { transport, era: "legacy", revision, method: TASK_STATUS, name: task.id },
    caller,
    session,
    serverId: task.serverId,
    target: { kind: "task", name: task.upstreamId },
    taskTool: task.tool,
    round: { index: 1, firstSeq: task.firstSeq },
    params: message.params,
    received: formatUtf8(message.text),
    toSend: formatUtf8(""),
    isAnsweredHere: true,
    isUnasked: true,
    upstream,
  };
}

/** Of a task that is done `tasks/result` has the result; of others nothing more comes. */
async function isEndKept(deps: StatusDeps, { task, message }: SaidStatus, { status }: StatedTask): Promise<boolean> {
  if (task.ticket === undefined || (status !== "failed" && status !== "cancelled")) return true;
  const ended = status === "failed" ? "task_failed" : "cancelled";
  const received = formatUtf8(message.text);
  const outcome = { status: ended, effect: "unknown", received, upstreamUs: 0, uninspectedBytes: 0 } as const;
  return (await finishTask(deps, task.ticket, outcome)) !== undefined;
}

/** What may not reach the agent has a receipt; the agent is told nothing. */
async function refuseStatus(
  deps: StatusDeps,
  { caller, session, transport, revision }: AskedAgent,
  { task: { serverId }, message }: SaidStatus,
  reason: ReasonCode,
): Promise<undefined> {
  const wire = { transport, era: "legacy", revision, method: TASK_STATUS } as const;
  const step = reason === "inspect.block" ? "inspect" : "classify";
  const received = formatUtf8(message.text);
  await keepRefusal(deps, { step, reason, wire, caller, session, serverId, received });
}
