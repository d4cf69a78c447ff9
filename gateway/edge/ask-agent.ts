/**
 * A request of a legacy server to its agent: sampling, elicitation, roots. It is decided like a call, with what the server
 * sent as received and what the agent gets as sent; the agent's answer goes back when its outcome is kept.
 */

import { errorCode } from "../../kernel/errors.ts";
import { isJsonObject, type JsonObject } from "../../kernel/json/value.ts";
import type { ReasonCode } from "../../kernel/receipt/reasons.ts";
import type { Revision, Transport } from "../../kernel/receipt/vocabulary.ts";
import type { Caller, CallOutcome, InboundCall, InputKind, SessionKey, UpstreamFacts } from "../pipeline/call.ts";
import type { CancelSignal } from "../upstream/cancellation.ts";
import { cancelledNotification } from "../upstream/own-request.ts";
import { withId } from "../wire/bridge.ts";
import type { RpcRequest } from "../wire/rpc.ts";
import { errorResponse, RPC } from "../wire/rpc-error.ts";
import { rawAt } from "../wire/spans.ts";
import { concluding, decide, type Forwarded, finish, type ReceiptDeps, refusalResponse } from "./call-receipts.ts";
import { inputKind, isDeclared } from "./input-required.ts";
import type { AskReply, PendingAsk, PendingAsks } from "./pending-asks.ts";
import { keepRefusal } from "./refuse.ts";
import { withRelatedTask } from "./task-messages.ts";
import type { KeptTask } from "./task-table.ts";

/** The agent that is asked. */
export interface AskedAgent {
  readonly caller: Caller;
  readonly session: SessionKey;
  readonly transport: Transport;
  readonly revision: Revision;
  readonly capabilities: JsonObject;
  readonly asks: PendingAsks;
}

/** What a server asks, and the way to the agent. */
export interface Asking {
  readonly serverId: string;
  readonly upstream: UpstreamFacts;
  readonly message: RpcRequest;
  readonly received: Uint8Array;
  /** The agent's task inside which it is asked; `unknown` if the server names one that is not this agent's. */
  readonly task?: KeptTask | "unknown";
  /** False if the agent cannot be reached now. */
  readonly send: (bytes: Uint8Array) => boolean;
  /** Aborted when the call inside which it is asked ends, or the session. */
  readonly signal: CancelSignal;
}

/** People answer slowly; the server's own limit is usually shorter. */
const LIMIT_MS = 600_000;

/** @returns the response for the server, under its id; never rejects */
export async function askAgent(deps: ReceiptDeps, agent: AskedAgent, asking: Asking): Promise<Uint8Array> {
  const idText = rawAt(asking.message.text, ["id"]) ?? "null";
  try {
    return await askedWithin(deps, agent, asking, idText);
  } catch (error) {
    const { serverId: server } = asking;
    deps.logger.error({ code: errorCode(error), server }, "a question of a server ended by a fault");
    return internal(idText, "receipt.unavailable");
  }
}

async function askedWithin(deps: ReceiptDeps, agent: AskedAgent, asking: Asking, idText: string): Promise<Uint8Array> {
  const { message, signal, task } = asking;
  const kind = inputKind(message.method);
  // A question in the name of another's task would be answered as if it were the agent's own.
  if (task === "unknown") return refused(deps, agent, asking, idText, "upstream.protocol");
  if (kind === undefined) return refused(deps, agent, asking, idText, "bridge.unsupported");
  if (!isDeclared(message.method, message.params, agent.capabilities)) {
    return refused(deps, agent, asking, idText, "upstream.undeclared-input");
  }
  const tooOften = agent.asks.take(asking.serverId);
  if (tooOften !== undefined) return refused(deps, agent, asking, idText, tooOften);
  const pending = agent.asks.open(signal, LIMIT_MS);
  if (pending === undefined) return refused(deps, agent, asking, idText, "limit.in-flight");
  try {
    return await askDecided(deps, agent, asking, { idText, kind, pending });
  } finally {
    pending.drop();
  }
}

/** A question that an agent can be asked, and its place among those that are out. */
interface AskableQuestion {
  readonly idText: string;
  readonly kind: InputKind;
  readonly pending: PendingAsk;
}

async function askDecided(
  deps: ReceiptDeps,
  agent: AskedAgent,
  asking: Asking,
  { idText, kind, pending }: AskableQuestion,
): Promise<Uint8Array> {
  const decided = await decide(deps, askCall(agent, asking, kind, pending.id));
  if (decided === undefined) return internal(idText, "receipt.unavailable");
  if (decided.action === "refuse") return refusalResponse(idText, decided.refusal, decided.receipt);
  return concluding(deps, decided, async () => {
    // A question is never a phantom: it belongs to a call that was let through.
    if (decided.action === "phantom" || !(await isBrought(deps, decided)))
      return internal(idText, "receipt.unavailable");
    return ask(deps, asking, decided, pending, idText);
  });
}

/** The question tells the agent something of the server's. @returns false if what that brings cannot be kept */
async function isBrought({ pipeline }: ReceiptDeps, { ticket }: Forwarded): Promise<boolean> {
  try {
    await pipeline.bringLabels(ticket);
    return true;
  } catch {
    return false;
  }
}

async function ask(
  deps: ReceiptDeps,
  asking: Asking,
  decided: Forwarded,
  pending: PendingAsk,
  idText: string,
): Promise<Uint8Array> {
  const started = performance.now();
  const isSent = asking.send(decided.toSend);
  const reply = isSent ? await pending.reply : undefined;
  // Nobody waits any more: the server took its question back, or the call inside which it was asked has ended.
  if (reply !== undefined && reply.type !== "answered") asking.send(cancelledNotification(pending.id));
  const upstreamUs = Math.round((performance.now() - started) * 1000);
  const isLine = asking.upstream.transport === "stdio";
  return answerOf(deps, decided, reply, { idText, task: asking.task, isLine }, upstreamUs);
}

function askCall(
  { caller, session, transport, revision }: AskedAgent,
  { serverId, upstream, message, received, task }: Asking,
  kind: InputKind,
  id: number,
): InboundCall {
  const isInTask = task !== undefined && task !== "unknown";
  const text = isInTask ? withRelatedTask(message.text, "params", task.id) : message.text;
  return {
    ...(isInTask ? { taskTool: task.tool, round: { index: 1, firstSeq: task.firstSeq } } : {}),
    wire: { transport, era: "legacy", revision, method: message.method, id },
    caller,
    session,
    serverId,
    target: { kind, name: message.method },
    params: message.params,
    received,
    toSend: withId(text, String(id), transport === "stdio"),
    upstream,
  };
}

/** @param reply  undefined if the question did not go out */
async function answerOf(
  deps: ReceiptDeps,
  decided: Forwarded,
  reply: AskReply | undefined,
  asked: Asked,
  upstreamUs: number,
): Promise<Uint8Array> {
  const { idText } = asked;
  const outcome = reply?.type === "answered" ? answered(reply, asked) : unanswered(reply, idText);
  const kept = await finish(deps, decided, { ...outcome, upstreamUs, uninspectedBytes: 0 });
  return kept?.returned ?? internal(idText, "receipt.unavailable");
}

type Ended = Omit<CallOutcome, "upstreamUs" | "uninspectedBytes">;

/** How the server names its question, and what it belongs to. */
interface Asked {
  readonly idText: string;
  readonly task: Asking["task"];
  /** True if the server reads lines. */
  readonly isLine: boolean;
}

function answered({ message, bytes }: Extract<AskReply, { type: "answered" }>, { idText, task, isLine }: Asked): Ended {
  const isInTask = task !== undefined && task !== "unknown";
  const text = isInTask ? withRelatedTask(message.text, "result", task.upstreamId) : message.text;
  const { error } = message.value;
  const code = isJsonObject(error) ? error["code"] : undefined;
  return {
    status: error === undefined ? "ok" : "rpc_error",
    effect: "done",
    received: bytes,
    returned: withId(text, idText, isLine),
    ...(typeof code === "number" && (code | 0) === code ? { rpcCode: code } : {}),
  };
}

function unanswered(reply: AskReply | undefined, idText: string): Ended {
  if (reply === undefined) {
    return { status: "cancelled", effect: "none", returned: internal(idText, "client.disconnected") };
  }
  const isLate = reply.type === "timeout";
  const returned = internal(idText, isLate ? "upstream.timeout" : "client.cancelled");
  return { status: isLate ? "timeout" : "cancelled", effect: "unknown", returned };
}

/** Not one that this agent can be asked: a receipt, and the error that a client without the capability gives. */
async function refused(
  deps: ReceiptDeps,
  { caller, session, transport, revision }: AskedAgent,
  { serverId, message, received }: Asking,
  idText: string,
  reason: ReasonCode,
): Promise<Uint8Array> {
  const wire = { transport, era: "legacy", revision, method: message.method } as const;
  await keepRefusal(deps, { step: "classify", reason, wire, caller, session, serverId, received });
  return errorResponse(idText, RPC.methodNotFound, "this agent cannot be asked that", { reason });
}

function internal(idText: string, reason: ReasonCode): Uint8Array {
  return errorResponse(idText, RPC.internal, "the agent did not answer", { reason });
}
