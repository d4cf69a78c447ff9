/**
 * The end of a task that its agent cannot hold, waited for in the agent's place. What the wait sends is the gateway's own, under
 * the decision of the call; what an agent answers inside it has a decision of its own. The answer is the call's, and is inspected,
 * decided and recorded as one that came at once.
 */

import { formatUtf8, parseUtf8 } from "../../kernel/bytes.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../../kernel/json/value.ts";
import type { CallOutcome, InboundCall } from "../pipeline/call.ts";
import { type CancelSignal, firstOf } from "../upstream/cancellation.ts";
import { pause } from "../upstream/pause.ts";
import type { UpstreamReply, UpstreamRequest } from "../upstream/upstream.ts";
import { encodeHeader } from "../wire/mirrored-headers.ts";
import { applyEdits, editMembers, rawAt, spanOf } from "../wire/spans.ts";
import { askAll, withMembers } from "./bridged-rounds.ts";
import { concluding, decide, finish } from "./call-receipts.ts";
import { readInputRequired } from "./input-required.ts";
import type { ForwardDeps, Round } from "./round-trip.ts";
import { readTask, withoutRelatedTask } from "./task-messages.ts";
import { hasTasksExtension } from "./task-support.ts";

/** Between two questions where a task is, if its server says nothing of it; and the bounds of what it may say. */
const POLL_MS = 1_000;
const LEAST_POLL_MS = 20;
const MOST_POLL_MS = 10_000;
/** A call takes no longer, whatever its server makes of it. */
const MAX_WAIT_MS = 600_000;

type Answered = Extract<UpstreamReply, { type: "answered" }>;

/** A task that is waited for. */
interface HeldTask {
  readonly deps: ForwardDeps;
  readonly round: Round;
  readonly taskId: string;
  readonly signal: CancelSignal;
  /** Keys of the questions that were answered. */
  readonly answered: Set<string>;
}

/** True if the server made a task of the call that its agent cannot hold, and the gateway asked for. */
export function isHeldTask(round: Round, reply: UpstreamReply): reply is Answered {
  const { request, call } = round;
  if (reply.type !== "answered" || request.era === call.upstream.era || call.target.kind !== "tool") return false;
  return madeIn(reply, round) !== undefined;
}

/** The answer that such a task comes to, as if the call had come to it at once. */
export async function answerOfTask(deps: ForwardDeps, round: Round, reply: Answered): Promise<UpstreamReply> {
  const { request, call } = round;
  const { era } = call.upstream;
  const made = madeIn(reply, round);
  const stated = readTask(made, era);
  if (stated === undefined) return fault(reply);
  const late = AbortSignal.timeout(MAX_WAIT_MS);
  const signal = firstOf([request.signal, late]);
  const task: HeldTask = { deps, round, taskId: stated.taskId, signal, answered: new Set() };
  const ended = await untilEnd(task, pollOf(made));
  if (ended.type === "answered") return ended;
  // Nobody waits any more. Whether the server stops, and what it did before, is not known.
  void sendOwn({ ...task, signal: NEVER }, "tasks/cancel", ownMessage(task, "tasks/cancel"));
  const why = late.aborted ? ({ status: "timeout", reason: "upstream.timeout" } as const) : {};
  return { ...ended, ...why, effect: "unknown" };
}

const NEVER: CancelSignal = new AbortController().signal;

/** The task in an answer, if it is one that the gateway asked for in the agent's place. */
function madeIn({ body }: Answered, { request, call }: Round): JsonObject | undefined {
  const { result } = body;
  if (!isJsonObject(result)) return undefined;
  if (call.upstream.era === "modern") {
    return result["resultType"] === "task" && hasTasksExtension(request.capabilities.value) ? result : undefined;
  }
  const { task, content } = result;
  if (!isJsonObject(task) || content !== undefined) return undefined;
  return rawAt(parseUtf8(call.toSend), ["params", "task"]) === undefined ? undefined : task;
}

async function untilEnd(task: HeldTask, firstMs: number): Promise<UpstreamReply> {
  let waitMs = firstMs;
  for (;;) {
    await pause(waitMs, task.signal);
    if (task.signal.aborted) return CANCELLED;
    const reply = await sendOwn(task, "tasks/get", ownMessage(task, "tasks/get"));
    if (reply.type !== "answered" || reply.body["error"] !== undefined) return reply;
    const ended = await endIn(task, reply);
    if (ended !== undefined) return ended;
    waitMs = pollOf(reply.body["result"]);
  }
}

/** What the state of a task comes to; undefined if it goes on. */
async function endIn(task: HeldTask, reply: Answered): Promise<UpstreamReply | undefined> {
  const { era } = task.round.call.upstream;
  const { result } = reply.body;
  const stated = readTask(result, era);
  if (stated === undefined || stated.taskId !== task.taskId || !isJsonObject(result)) return fault(reply);
  if (stated.status === "working") return undefined;
  // SPEC MCP 2025-11-25: what is asked inside a task comes with the request for its result.
  if (era === "legacy") return resultOfLegacy(task);
  return stated.status === "input_required" ? answerQuestions(task, reply, result) : resultIn(reply, result);
}

/** The answer as one to the call: the agent knows no task. */
async function resultOfLegacy(task: HeldTask): Promise<UpstreamReply> {
  const reply = await sendOwn(task, "tasks/result", ownMessage(task, "tasks/result"));
  return reply.type === "answered" ? { ...reply, text: withoutRelatedTask(reply.text) } : reply;
}

/** What a modern task came to, as the answer to its call. */
function resultIn(reply: Answered, result: JsonObject): UpstreamReply {
  const { status } = result;
  if (status === "cancelled") return { ...CANCELLED, status: "upstream_error", reason: "upstream.closed" };
  const member = status === "completed" ? "result" : "error";
  const value = result[member];
  const text = rawAt(reply.text, ["result", member]);
  const type = isJsonObject(value) ? value["resultType"] : null;
  if (text === undefined || !isJsonObject(value) || (type !== undefined && type !== "complete")) return fault(reply);
  const body = { jsonrpc: "2.0", id: 0, [member]: value };
  return { ...reply, text: `{"jsonrpc":"2.0","id":0,"${member}":${text}}`, body };
}

/** Each key stands for one question; what the agent says to it is decided as arguments are. @returns why the wait is over, if it is */
async function answerQuestions(
  task: HeldTask,
  reply: Answered,
  result: JsonObject,
): Promise<UpstreamReply | undefined> {
  const { deps, round, answered } = task;
  const { request, call } = round;
  const input = readInputRequired(reply.text, result, request.capabilities.value);
  if ("reason" in input) return { ...CANCELLED, status: "upstream_error", reason: input.reason, bytes: reply.bytes };
  const questions = input.questions.filter(({ key }) => !answered.has(key));
  if (questions.length === 0) return undefined;
  const answers = await askAll(deps, request, call.serverId, call.upstream, { questions, state: null });
  if (answers === undefined) return CANCELLED;
  for (const { key } of questions) answered.add(key);
  const update = ownMessage(task, "tasks/update");
  const toSend = withMembers(update.bytes, answers.members);
  const decided = await decide(deps, updateCall(task, { taskId: task.taskId, ...answers.params }, toSend));
  if (decided?.action === "phantom") await finish(deps, decided, PHANTOM);
  if (decided?.action !== "forward") return CANCELLED;
  const kept = await concluding(deps, decided, async () => {
    const taken = await sendOwn(task, "tasks/update", { ...update, bytes: decided.toSend });
    return finish(deps, decided, outcomeOf(taken));
  });
  return kept?.status === "ok" ? undefined : CANCELLED;
}

function updateCall({ round, taskId }: HeldTask, params: JsonObject, toSend: Uint8Array): InboundCall {
  const { request, call, state, decided } = round;
  const { transport, era, revision } = request;
  const { takesPage: _, approval: __, extensions: ___, ...plain } = call;
  return {
    ...plain,
    wire: { transport, era, revision, method: "tasks/update", name: taskId },
    target: { kind: "task", name: taskId },
    taskTool: call.target.name,
    round: { index: (state?.round ?? 0) + 1, firstSeq: state?.firstSeq ?? decided.receipt.seq },
    params,
    received: formatUtf8(JSON.stringify(params)),
    toSend,
  };
}

function outcomeOf(reply: UpstreamReply): CallOutcome {
  const isTaken = reply.type === "answered" && reply.body["error"] === undefined;
  const facts = isTaken ? ({ status: "ok", effect: "done" } as const) : UNTAKEN;
  const received = reply.bytes === undefined ? {} : { received: reply.bytes };
  return { ...facts, ...received, upstreamUs: 0, uninspectedBytes: 0 };
}

const UNTAKEN = { status: "upstream_error", effect: "unknown" } as const;
/** Nothing is sent for a subject in quarantine, and the wait is over. */
const PHANTOM = { status: "phantom", effect: "none", upstreamUs: 0, uninspectedBytes: 0 } as const;

/** A message about the task; a modern one with the `_meta` of the call, since it is for the same agent. */
function ownMessage({ round, taskId }: HeldTask, method: string): Pick<UpstreamRequest, "id" | "bytes"> {
  const { routed, call } = round;
  const id = routed.upstream.nextId();
  const meta = call.upstream.era === "modern" ? metaText(parseUtf8(call.toSend)) : undefined;
  const params = `"taskId":${JSON.stringify(taskId)}${meta === undefined ? "" : `,"_meta":${meta}`}`;
  return { id, bytes: formatUtf8(`{"jsonrpc":"2.0","id":${id},"method":"${method}","params":{${params}}}`) };
}

/** Progress is the call's, and no such message has any. */
function metaText(text: string): string | undefined {
  const meta = rawAt(text, ["params", "_meta"]);
  const span = meta === undefined ? undefined : spanOf(meta, []);
  const edit =
    meta === undefined || span === undefined
      ? undefined
      : editMembers(meta, span, {}, (key) => key === "progressToken");
  return edit === undefined || meta === undefined ? meta : applyEdits(meta, [edit]);
}

function sendOwn(
  { round, taskId, signal }: HeldTask,
  method: string,
  message: Pick<UpstreamRequest, "id" | "bytes">,
): Promise<UpstreamReply> {
  const { routed, call } = round;
  const named = call.upstream.era === "modern" && call.upstream.transport === "http";
  const headers = named ? { "Mcp-Method": method, "Mcp-Name": encodeHeader(taskId) } : {};
  return routed.upstream.request({ ...message, method, headers, signal });
}

/** SPEC: `pollInterval` of 2025-11-25, `pollIntervalMs` of the extension. */
function pollOf(task: JsonValue | undefined): number {
  const said = isJsonObject(task) ? (task["pollIntervalMs"] ?? task["pollInterval"]) : undefined;
  return Math.min(MOST_POLL_MS, Math.max(LEAST_POLL_MS, typeof said === "number" ? said : POLL_MS));
}

const CANCELLED = { type: "failed", status: "cancelled", effect: "unknown", reason: "client.cancelled" } as const;

/** The server said something that cannot be the end of this call. */
function fault(reply: Answered): UpstreamReply {
  return { ...CANCELLED, status: "upstream_error", reason: "upstream.protocol", bytes: reply.bytes };
}
