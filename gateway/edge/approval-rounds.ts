/**
 * How an agent's host is asked to open the page of an approval (mcp-gateway §17). A modern agent is answered `input_required`
 * with a state that the gateway seals, until somebody has decided. A legacy one is asked inside its call, which waits for a
 * while; after that, or where it has no stream, it gets the error -32042, and a notification when somebody has decided.
 */

import { formatUtf8 } from "../../kernel/bytes.ts";
import { parseJson } from "../../kernel/json/parse.ts";
import { isJsonObject, type JsonObject } from "../../kernel/json/value.ts";
import type { CallRefusal, Decided, InboundCall, OfferedApproval } from "../pipeline/call.ts";
import { firstOf } from "../upstream/cancellation.ts";
import { OUR_META } from "../wire/meta-keys.ts";
import { RPC, resultResponse } from "../wire/rpc-error.ts";
import { applyEdits, editMembers, rawAt, spanOf } from "../wire/spans.ts";
import { type AgentAnswer, type AgentRequest, formatReceiptRef } from "./agent-request.ts";
import { decide, type ReceiptDeps } from "./call-receipts.ts";
import { isDeclared } from "./input-required.ts";
import { ASKING } from "./input-rounds.ts";
import type { AskReply } from "./pending-asks.ts";
import type { RoundScope, RoundState, RoundStates } from "./round-state.ts";

/** Who knows what became of an approval. */
export interface ApprovalDecisions {
  /** True once it is decided; false after `limitMs`, or when `signal` is aborted. May answer earlier. */
  readonly untilDecided: (id: string, limitMs: number, signal: AbortSignal) => Promise<boolean>;
  /** The same for whoever is told afterwards, and keeps no call waiting meanwhile. */
  readonly onceDecided: (id: string, signal: AbortSignal) => Promise<boolean>;
}

/** What asking needs. */
export interface ApprovalDeps extends ReceiptDeps {
  /** Undefined: nothing waits. */
  readonly approvals?: ApprovalDecisions | undefined;
  /** Aborted when the edge closes. */
  readonly closing: AbortSignal;
}

/** SPEC mcp-gateway §17: a call waits at most 50 s. */
const HOLD_MS = 50_000;
/** How long the host may take to say whether its user goes to the page. */
const ASK_MS = 600_000;
/** They came in one message. */
const MAX_RESPONSES = 64 * 1024 * 1024;
/** Names our question among those of an answer. */
const QUESTION = "countersign-approval";

type Refused = Extract<Decided, { action: "refuse" }>;

/** True if the agent's host takes the address of a page in answer to this request. */
export function takesPage({ era, revision, message, capabilities }: AgentRequest): boolean {
  const isAsked = era === "modern" ? ASKING.has(message.method) : revision === "2025-11-25";
  return isAsked && isDeclared("elicitation/create", { mode: "url" }, capabilities.value);
}

/** What a retry says to our question: `none` if it says nothing that we understand. */
export function answerToPage({ message }: AgentRequest): "accept" | "no" | "none" {
  const { inputResponses } = message.params;
  const answer = isJsonObject(inputResponses) ? inputResponses[QUESTION] : undefined;
  if (!isJsonObject(answer)) return "none";
  return answer["action"] === "accept" ? "accept" : "no";
}

/** Lets a retry wait until somebody has decided, for a while; one whose user does not open the page waits for nothing. */
export async function waitForDecision(deps: ApprovalDeps, request: AgentRequest, id: string): Promise<void> {
  if (answerToPage(request) !== "accept") return;
  await deps.approvals?.untilDecided(id, HOLD_MS, firstOf([request.signal, deps.closing]));
}

/** The request as it was held: without what answers the gateway, with what the agent had answered the server. */
export function asHeld(request: AgentRequest, { upstream, held }: RoundState): AgentRequest {
  const { message } = request;
  const span = spanOf(message.text, ["params"]);
  if (held === undefined || span === undefined) return request;
  const { inputResponses: _ours, requestState, ...others } = message.params;
  const isDropped = (key: string): boolean =>
    (key === "inputResponses" && responses === null) || (key === "requestState" && upstream === null);
  const { responses } = held;
  const members = responses === null ? {} : { inputResponses: responses };
  const edit = editMembers(message.text, span, members, isDropped);
  const text = edit === undefined ? message.text : applyEdits(message.text, [edit]);
  const params: JsonObject = {
    ...others,
    ...(responses === null ? {} : { inputResponses: parseJson(formatUtf8(responses), { maxBytes: MAX_RESPONSES }) }),
    ...(upstream === null || requestState === undefined ? {} : { requestState }),
  };
  return { ...request, message: { ...message, text, params, value: { ...message.value, params } } };
}

/** The answer to a modern agent whose call is held; undefined if its host is not asked. */
export function heldAnswer(
  rounds: RoundStates,
  request: AgentRequest,
  scope: RoundScope,
  state: RoundState | undefined,
  { refusal: { offer, reason }, receipt }: Refused,
): AgentAnswer | undefined {
  if (offer === undefined || receipt === undefined || request.era === "legacy") return undefined;
  const responses = rawAt(request.message.text, ["params", "inputResponses"]) ?? null;
  const held = { approval: offer.id, seq: receipt.seq, responses };
  const { upstream = null, round = 0, firstSeq = receipt.seq } = state ?? {};
  const result = {
    resultType: "input_required",
    // SPEC MCP 2026-07-28: a URL-mode elicitation has no id any more; the state stands for it.
    inputRequests: { [QUESTION]: { method: "elicitation/create", params: pageOf(offer) } },
    requestState: rounds.seal({ upstream, round, firstSeq, held }, scope, offer.expiresMs),
    _meta: { [OUR_META.reason]: reason, [OUR_META.receipt]: formatReceiptRef(receipt) },
  };
  return { httpStatus: 200, bytes: resultResponse(request.idText, JSON.stringify(result)), receipt };
}

/**
 * Decides a call. A legacy agent whose call is held is asked to open the page, and once somebody has decided in time the call
 * is decided again.
 *
 * @returns as `decide`; the refusal of a call that still waits is the error -32042
 */
export function decideAsking(
  deps: ApprovalDeps,
  request: AgentRequest,
  call: InboundCall,
): Promise<Decided | undefined> {
  return request.era === "modern" ? decide(deps, call) : decideAskingInCall(deps, request, call);
}

async function decideAskingInCall(
  deps: ApprovalDeps,
  request: AgentRequest,
  call: InboundCall,
): Promise<Decided | undefined> {
  const first = await decide(deps, call);
  if (first?.action !== "refuse") return first;
  const { offer } = first.refusal;
  if (offer === undefined || first.receipt === undefined) return first;
  const came = await askInCall(deps, request, offer);
  if (came === "decided") return decide(deps, { ...call, approval: { id: offer.id, seq: first.receipt.seq } });
  if (came === "declined") return first;
  tellLater(deps, request, offer);
  return { ...first, refusal: asUrlError(first.refusal, offer) };
}

async function askInCall(
  deps: ApprovalDeps,
  { legs, notify, signal }: AgentRequest,
  offer: OfferedApproval,
): Promise<"decided" | "declined" | "waits"> {
  if (legs === undefined || notify === undefined || deps.approvals === undefined) return "waits";
  const ends = firstOf([signal, deps.closing]);
  const pending = legs.agent.asks.open(ends, ASK_MS);
  if (pending === undefined) return "waits";
  const params = { ...pageOf(offer), elicitationId: offer.id };
  notify(formatUtf8(JSON.stringify({ jsonrpc: "2.0", id: pending.id, method: "elicitation/create", params })));
  const declined = new AbortController();
  // What the host says later than that is taken, too, and changes nothing.
  void pending.reply.then((reply) => {
    if (isRefused(reply)) declined.abort();
  });
  const isDecided = await deps.approvals.untilDecided(offer.id, HOLD_MS, AbortSignal.any([ends, declined.signal]));
  if (isDecided) notify(completeNotice(offer.id));
  if (isDecided) return "decided";
  return declined.signal.aborted ? "declined" : "waits";
}

/** True if the host said something else than that its user goes to the page. */
function isRefused(reply: AskReply): boolean {
  if (reply.type !== "answered") return false;
  const { result } = reply.message.value;
  return !isJsonObject(result) || result["action"] !== "accept";
}

/** SPEC MCP 2025-11-25: only the client that was asked is told that it is over. */
function tellLater({ approvals }: ApprovalDeps, { legs }: AgentRequest, { id }: OfferedApproval): void {
  if (approvals === undefined || legs === undefined) return;
  legs.tellOnce(id, completeNotice(id), (signal) => approvals.onceDecided(id, signal));
}

function asUrlError(refusal: CallRefusal, offer: OfferedApproval): CallRefusal {
  const elicitations = [{ ...pageOf(offer), elicitationId: offer.id }];
  return { ...refusal, rpcCode: RPC.urlElicitation, data: { ...refusal.data, elicitations } };
}

function pageOf({ url, message }: OfferedApproval): {
  readonly mode: "url";
  readonly url: string;
  readonly message: string;
} {
  return { mode: "url", url, message };
}

function completeNotice(elicitationId: string): Uint8Array {
  const method = "notifications/elicitation/complete";
  return formatUtf8(JSON.stringify({ jsonrpc: "2.0", method, params: { elicitationId } }));
}
