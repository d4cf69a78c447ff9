/**
 * What servers answer to requests about tasks. An answer that names another task than it was asked about, or another end
 * than before, is not passed on; one that carries a result is the end of the call that made the task.
 */

import { sha256 } from "#crypto";
import { formatUtf8, parseUtf8 } from "../../kernel/bytes.ts";
import { isCodedError } from "../../kernel/errors.ts";
import { formatHex } from "../../kernel/hex.ts";
import { canonicalBytes } from "../../kernel/json/canonical.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../../kernel/json/value.ts";
import type { ReasonCode } from "../../kernel/receipt/reasons.ts";
import type { CallOutcome } from "../pipeline/call.ts";
import type { UpstreamReply } from "../upstream/upstream.ts";
import { withoutOurWords } from "../wire/our-words.ts";
import { errorText, RPC } from "../wire/rpc-error.ts";
import { rawAt } from "../wire/spans.ts";
import { formatReceiptRef } from "./agent-request.ts";
import { BLOCKED, deniedResult, finishTask, type ReceiptDeps } from "./call-receipts.ts";
import { decideQuestions, type InputQuestion, readInputRequired } from "./input-required.ts";
import { type Ended, refusedOutcome, uninspectedBytes } from "./outcome.ts";
import { type ForwardDeps, writers } from "./round-trip.ts";
import type { TaskRound } from "./task-calls.ts";
import {
  isEnd,
  readTask,
  relatedTask,
  type StatedTask,
  TASK_PATH,
  type TaskEdit,
  withRelatedTask,
  withTask,
} from "./task-messages.ts";

/** An answer that has a result. */
export type Answered = Extract<UpstreamReply, { type: "answered" }> & { readonly result: JsonObject };

/** What reading an answer needs. */
export type TaskAnswerDeps = ReceiptDeps & Pick<ForwardDeps, "tasks">;

/** Questions of one task that are remembered; a server that asks more is a fault. */
const MAX_ASKED = 256;

/** @returns how the request ended; "withheld" if a receipt could not be kept */
export function readAnswer(
  deps: TaskAnswerDeps,
  round: TaskRound,
  reply: Answered,
  upstreamUs: number,
): Promise<Ended | "withheld"> {
  const { message, era } = round.request;
  const { resultType } = reply.result;
  if (resultType !== undefined && resultType !== "complete") return Promise.resolve(fault(round, reply));
  switch (message.method) {
    case "tasks/get":
      return readState(deps, round, reply, upstreamUs);
    case "tasks/result":
      return readResult(deps, round, reply, upstreamUs);
    case "tasks/cancel":
      return era === "legacy"
        ? readState(deps, round, reply, upstreamUs)
        : acknowledgeCancel(deps, round, reply, upstreamUs);
    default:
      return Promise.resolve(pass(round, reply, reply.text, {}));
  }
}

/** A task that no server has, and that its agent is not answered about as before: it is over. */
export function endGone(round: TaskRound): Ended {
  const [, makeError] = writers(round);
  const bytes = makeError(RPC.invalidParams, "task.unknown", "there is no such task");
  return refusedOutcome("cancelled", RPC.invalidParams, undefined, bytes, "none");
}

/** What a server says of a task, asked or not: as an answer to `tasks/get`. */
export async function readState(
  deps: TaskAnswerDeps,
  round: TaskRound,
  reply: Answered,
  upstreamUs: number,
): Promise<Ended | "withheld"> {
  const { task } = round;
  const stated = readTask(reply.result, task.era);
  if (stated === undefined || stated.taskId !== task.upstreamId || isAnotherEnd(round, stated, reply.result)) {
    return fault(round, reply);
  }
  task.status = stated.status;
  deps.tasks.renew(task, stated.ttlMs);
  if (task.era === "modern" && stated.status === "input_required") return ask(deps, round, reply, stated);
  if (!isEnd(stated.status)) return note(deps, round, reply, stated, {});
  const end = await endOf(deps, round, reply, stated, upstreamUs);
  return end === "withheld" ? end : note(deps, round, reply, stated, end);
}

/** What of the answer is another than the server's, and how it is recorded. */
interface StateEnd {
  readonly members?: TaskEdit["members"];
  readonly outcome?: Partial<CallOutcome>;
}

/** The answer under the agent's name of the task. */
function note(
  deps: TaskAnswerDeps,
  round: TaskRound,
  reply: Answered,
  stated: StatedTask,
  { members, outcome = {} }: StateEnd,
): Ended {
  const { task } = round;
  const ttlMs = deps.tasks.promised(stated.ttlMs);
  const edit = {
    id: task.id,
    ...(ttlMs === undefined ? {} : { ttlMs }),
    ...(members === undefined ? {} : { members }),
  };
  const text = withTask(reply.text, TASK_PATH, task.era, edit);
  return pass(round, reply, text, outcome);
}

/** The end of a task, as far as this answer knows it. Of a legacy one `tasks/result` has the result. */
async function endOf(
  deps: TaskAnswerDeps,
  round: TaskRound,
  reply: Answered,
  { status }: StatedTask,
  upstreamUs: number,
): Promise<StateEnd | "withheld"> {
  const { task } = round;
  const received = { received: reply.bytes, upstreamUs, uninspectedBytes: 0, effect: "unknown" } as const;
  if (status === "cancelled") return close(deps, round, { status: "cancelled", ...received });
  if (task.era === "modern") return giveResult(deps, round, reply, status, upstreamUs);
  // SPEC MCP 2025-11-25: clients ask for no result of what has failed.
  return status === "failed" ? close(deps, round, { status: "task_failed", ...received }) : {};
}

/** An end without a result. */
async function close(deps: TaskAnswerDeps, { task }: TaskRound, outcome: CallOutcome): Promise<StateEnd | "withheld"> {
  if (task.ticket === undefined) return {};
  const kept = await finishTask(deps, task.ticket, outcome);
  return kept === undefined ? "withheld" : {};
}

/** The result or error inside a modern task: under the stages and the policy of the call, then put in its place. */
async function giveResult(
  deps: TaskAnswerDeps,
  round: TaskRound,
  reply: Answered,
  status: StatedTask["status"],
  upstreamUs: number,
): Promise<StateEnd | "withheld"> {
  const { task, request, decided } = round;
  const member = status === "completed" ? "result" : "error";
  const inner = rawAt(reply.text, [...TASK_PATH, member]) ?? "{}";
  const said = `{"jsonrpc":"2.0","id":0,"${member}":${inner}}`;
  const passed = withoutOurWords(said);
  const bytes = formatUtf8(passed);
  const media = uninspectedBytes(reply.result["result"]);
  const ended = { received: reply.bytes, returned: bytes, upstreamUs, uninspectedBytes: media };
  const kept = await endTask(deps, round, ended, status);
  if (kept === undefined || task.ticket === undefined) return "withheld";
  const labels = kept.labels === undefined ? {} : { labels: kept.labels };
  if (kept.returned === undefined) {
    const refusal = kept.refusal ?? BLOCKED;
    const { rpcCode, reason, message, policies } = refusal;
    const error = errorText(rpcCode, message, { reason, policies, receipt: formatReceiptRef(decided.receipt) });
    const text = member === "result" ? deniedResult(request, refusal, decided.receipt) : error;
    return { members: { [member]: text }, outcome: { status: "blocked", effect: "unknown" } };
  }
  const isSame = kept.returned === bytes;
  if (isSame && passed === said) return { outcome: labels };
  const text = rawAt(isSame ? passed : parseUtf8(kept.returned), [member]) ?? "{}";
  return { members: { [member]: text }, outcome: isSame ? labels : { status: "redacted", ...labels } };
}

/** The second outcome of the call that made the task; a result that is fetched again has none. */
function endTask(
  deps: TaskAnswerDeps,
  { task }: TaskRound,
  ended: Pick<CallOutcome, "received" | "returned" | "upstreamUs" | "uninspectedBytes">,
  status: StatedTask["status"],
): Promise<CallOutcome | undefined> {
  if (task.ticket === undefined) return Promise.resolve(undefined);
  const isDone = status === "completed";
  // A server may end with an error after it has acted.
  const facts = isDone ? ({ status: "task_completed", effect: "done" } as const) : FAILED;
  return finishTask(deps, task.ticket, { ...ended, ...facts });
}

const FAILED = { status: "task_failed", effect: "unknown" } as const;

/** Questions inside a task: each is decided once, under its key. */
async function ask(
  deps: TaskAnswerDeps,
  round: TaskRound,
  reply: Answered,
  stated: StatedTask,
): Promise<Ended | "withheld"> {
  const { task, request, call } = round;
  const input = readInputRequired(reply.text, reply.result, request.capabilities.value);
  if ("reason" in input) return fault(round, reply, input.reason);
  const said = new Map(input.questions.map((one) => [keyOf(one), digestOf(one)] as const));
  const isChanged = [...said].some(([key, now]) => now === undefined || (task.asked.get(key) ?? now) !== now);
  const fresh = input.questions.filter((one) => !task.asked.has(keyOf(one)));
  // SPEC ext-tasks: a key stands for one question as long as the task lives.
  if (isChanged || task.asked.size + fresh.length > MAX_ASKED) return fault(round, reply);
  const refused = await decideQuestions(deps, call, fresh);
  if (refused === "withheld") return "withheld";
  if (refused !== undefined) {
    const [, makeError] = writers(round);
    const bytes = makeError(refused.rpcCode, refused.reason, refused.message);
    return refusedOutcome("blocked", refused.rpcCode, reply.bytes, bytes);
  }
  for (const [key, now] of said) if (now !== undefined) task.asked.set(key, now);
  return note(deps, round, reply, stated, { outcome: { status: "input_required", effect: "unknown" } });
}

/** Keys are the server's, of any length. */
function keyOf({ key }: InputQuestion): string {
  return formatHex(sha256(formatUtf8(key)));
}

function digestOf({ method, params }: InputQuestion): string | undefined {
  return digest({ method, params });
}

/** `tasks/result` of a legacy agent: the answer to the call itself. */
async function readResult(
  deps: TaskAnswerDeps,
  round: TaskRound,
  reply: Answered,
  upstreamUs: number,
): Promise<Ended | "withheld"> {
  const { task, request, decided } = round;
  const related = relatedTask(reply.body, "result");
  const { _meta: _, ...content } = reply.result;
  if (related !== undefined && related !== task.upstreamId) return fault(round, reply);
  if (isOtherEnd(round, digest(content))) return fault(round, reply);
  const [passOn] = writers(round);
  const returned = passOn(withRelatedTask(reply.text, "result", task.id));
  const ended = { received: reply.bytes, upstreamUs, uninspectedBytes: uninspectedBytes(reply.result) };
  const kept = await endTask(deps, round, { ...ended, returned }, "completed");
  if (kept === undefined) return "withheld";
  const outcome = { status: "ok", effect: "done", ...ended } as const;
  if (kept.returned === undefined) {
    const text = deniedResult(request, kept.refusal ?? BLOCKED, decided.receipt);
    const bytes = formatUtf8(`{"jsonrpc":"2.0","id":${request.idText},"result":${text}}`);
    return { bytes, outcome: { ...outcome, status: "blocked", effect: "unknown", returned: bytes } };
  }
  const status = kept.returned === returned ? "ok" : "redacted";
  const labels = kept.labels === undefined ? {} : { labels: kept.labels };
  return { bytes: kept.returned, outcome: { ...outcome, status, returned: kept.returned, ...labels } };
}

/** SPEC ext-tasks: the server says that it was told. Whether it stops nobody knows, and the agent need not ask again. */
async function acknowledgeCancel(
  deps: TaskAnswerDeps,
  round: TaskRound,
  reply: Answered,
  upstreamUs: number,
): Promise<Ended | "withheld"> {
  const outcome = {
    status: "cancelled",
    effect: "unknown",
    received: reply.bytes,
    upstreamUs,
    uninspectedBytes: 0,
  } as const;
  const closed = await close(deps, round, outcome);
  return closed === "withheld" ? closed : pass(round, reply, reply.text, {});
}

/** True if a task that had one end is said to have another, or none. */
function isAnotherEnd(round: TaskRound, { status }: StatedTask, result: JsonObject): boolean {
  const { task } = round;
  if (task.era === "legacy") return isEnd(task.status) && task.status !== status;
  if (!isEnd(status)) return task.end !== undefined;
  const { result: content = null, error = null } = result;
  const isWhole = status === "completed" ? isJsonObject(content) : status !== "failed" || isJsonObject(error);
  return !isWhole || isOtherEnd(round, digest({ status, content, error }));
}

/** Remembers the first end. One that has no digest is none: nobody could say whether it is said again. */
function isOtherEnd({ task }: TaskRound, end: string | undefined): boolean {
  if (end === undefined) return true;
  task.end ??= end;
  return task.end !== end;
}

/** Undefined of what has no canonical form: servers may write numbers, such as 1e999, that are beyond a double. */
function digest(value: JsonValue): string | undefined {
  try {
    return formatHex(sha256(canonicalBytes(value)));
  } catch (error) {
    if (isCodedError(error)) return undefined;
    throw error;
  }
}

function pass(round: TaskRound, reply: Answered, text: string, more: Partial<CallOutcome>): Ended {
  const [passOn] = writers(round);
  const returned = passOn(text);
  const outcome = { status: "ok", effect: "done", received: reply.bytes, returned } as const;
  return { bytes: returned, outcome: { ...outcome, uninspectedBytes: uninspectedBytes(reply.result), ...more } };
}

/** The server said something that cannot be passed on. */
function fault(round: TaskRound, reply: Answered, reason: ReasonCode = "upstream.protocol"): Ended {
  const [, makeError] = writers(round);
  const bytes = makeError(RPC.internal, reason, "the server's answer cannot be passed on");
  return refusedOutcome("upstream_error", RPC.internal, reply.bytes, bytes);
}
