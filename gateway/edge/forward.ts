/**
 * The path of a call that policy decides: route, decide, dispatch, keep the outcome, answer. Nothing is sent before its
 * decision is durable, and nothing is answered before its outcome is.
 */

import { isCodedError } from "../../kernel/errors.ts";
import type { CallOutcome, CallRefusal, CatalogReader, Decided, InboundCall, ReceiptRef } from "../pipeline/call.ts";
import type { Upstream, UpstreamReply } from "../upstream/upstream.ts";
import { progressToAgent, requestToServer, responseToAgent } from "../wire/bridge.ts";
import { OUR_META } from "../wire/meta-keys.ts";
import { encodeHeader, mirroredName, paramHeadersOf } from "../wire/mirrored-headers.ts";
import type { ParamHeader } from "../wire/param-headers.ts";
import { errorResponse, RPC, resultResponse } from "../wire/rpc-error.ts";
import { rawAt } from "../wire/spans.ts";
import { type AgentAnswer, type AgentRequest, formatReceiptRef, wireFacts } from "./agent-request.ts";
import { outcomeOf } from "./outcome.ts";
import type { RefuseDeps } from "./refuse.ts";
import { refuseRequest } from "./refuse.ts";
import { type Routed, routeCall } from "./route-call.ts";

/** What forwarding needs. */
export interface ForwardDeps extends RefuseDeps {
  readonly catalog: CatalogReader;
  readonly upstreams: ReadonlyMap<string, Upstream>;
}

type ForwardRule = Parameters<typeof routeCall>[3];

/** Answers a request by the server that its target belongs to. */
export async function forwardCall(deps: ForwardDeps, request: AgentRequest, rule: ForwardRule): Promise<AgentAnswer> {
  const routed = routeCall(deps.catalog, deps.upstreams, request, rule);
  if (routed.type === "refusal") {
    const { serverId } = routed;
    return refuseRequest(deps, routed, request, serverId === undefined ? {} : { serverId });
  }
  const id = routed.upstream.nextId();
  const call = inboundCall(request, routed, id, rule.kind);
  const decided = await decide(deps, call);
  if (decided === undefined) return withheld(request, undefined);
  if (decided.action === "refuse") return denied(request, decided.refusal, decided.receipt);
  return dispatch(deps, request, routed, call, id, decided);
}

function inboundCall(
  request: AgentRequest,
  { upstream, route, rename }: Routed,
  id: number,
  kind: ForwardRule["kind"],
): InboundCall {
  const facts = upstream.facts();
  const isLine = facts.transport === "stdio";
  const rewrite = { id, era: facts.era, isLine, ...(rename === undefined ? {} : { name: rename }) };
  return {
    wire: wireFacts(request),
    caller: request.caller,
    session: request.session,
    serverId: route.serverId,
    target: { kind, name: route.name },
    params: request.message.params,
    received: request.received,
    toSend: requestToServer(request.message, rewrite),
    upstream: facts,
  };
}

/** @returns undefined if no receipt could be kept: then nothing is sent, in any mode */
async function decide({ pipeline, logger }: ForwardDeps, call: InboundCall): Promise<Decided | undefined> {
  try {
    return await pipeline.decide(call);
  } catch (error) {
    logger.error({ code: codeOf(error), server: call.serverId }, "no decision receipt could be kept; nothing was sent");
    return undefined;
  }
}

async function dispatch(
  deps: ForwardDeps,
  request: AgentRequest,
  routed: Routed,
  call: InboundCall,
  id: number,
  decided: Extract<Decided, { action: "forward" }>,
): Promise<AgentAnswer> {
  const started = performance.now();
  const reply = await send(request, routed, { ...call, toSend: decided.toSend }, id);
  const { era } = call.upstream;
  const upstreamUs = Math.round((performance.now() - started) * 1000);
  const { message, idText } = request;
  const rewrite = { idText, method: message.method, agentEra: request.era, serverEra: era, isLine: isLine(request) };
  const { outcome } = outcomeOf(
    reply,
    (text) => responseToAgent(text, rewrite),
    (code, reason, text) => errorResponse(idText, code, text, { reason, receipt: formatReceiptRef(decided.receipt) }),
  );
  const kept = await finish(deps, decided.ticket, { ...outcome, upstreamUs });
  if (kept === undefined) return withheld(request, decided.receipt);
  if (kept.returned === undefined) return denied(request, kept.refusal ?? BLOCKED, decided.receipt);
  return { httpStatus: 200, bytes: kept.returned, receipt: decided.receipt };
}

/** What the agent is told of an answer that a stage took away without a word. */
const BLOCKED: CallRefusal = {
  rpcCode: RPC.blocked,
  reason: "inspect.block",
  policies: [],
  message: "The server's answer is withheld.",
};

async function send(request: AgentRequest, routed: Routed, call: InboundCall, id: number): Promise<UpstreamReply> {
  if (request.signal.aborted) {
    return { type: "failed", status: "cancelled", effect: "none", reason: "client.cancelled" };
  }
  const { message, notify } = request;
  const token = rawAt(message.text, ["params", "_meta", "progressToken"]);
  const onProgress = (text: string): void => notify?.(progressToAgent(text, token ?? "null", isLine(request)));
  return routed.upstream.request({
    id,
    method: message.method,
    headers: upstreamHeaders(request, call, routed.mirrored),
    bytes: call.toSend,
    signal: request.signal,
    ...(notify === undefined || token === undefined ? {} : { onProgress }),
  });
}

function isLine({ transport }: AgentRequest): boolean {
  return transport === "stdio";
}

/** The mirrored headers of a modern leg, made anew from what is sent. */
function upstreamHeaders(
  { message }: AgentRequest,
  { target, upstream }: InboundCall,
  mirrored: readonly ParamHeader[],
): Readonly<Record<string, string>> {
  if (upstream.era === "legacy" || upstream.transport === "stdio") return {};
  const hasName = mirroredName(message.method, message.params) !== undefined;
  const name = hasName ? { "Mcp-Name": encodeHeader(target.name) } : {};
  return { "Mcp-Method": message.method, ...name, ...paramHeadersOf(mirrored, message.params) };
}

/** @returns undefined if the outcome could not be kept: then the answer is withheld */
async function finish(
  { pipeline, logger }: ForwardDeps,
  ticket: Extract<Decided, { action: "forward" }>["ticket"],
  outcome: CallOutcome,
): Promise<CallOutcome | undefined> {
  try {
    return await pipeline.finish(ticket, outcome);
  } catch (error) {
    logger.error(
      { code: codeOf(error), call: ticket.callId },
      "no outcome receipt could be kept; the answer is withheld",
    );
    return undefined;
  }
}

function withheld({ idText }: AgentRequest, receipt: ReceiptRef | undefined): AgentAnswer {
  const reason = "receipt.unavailable";
  const named = receipt === undefined ? {} : { receipt: formatReceiptRef(receipt) };
  const bytes = errorResponse(idText, RPC.internal, "no receipt could be kept", { reason, ...named });
  return { httpStatus: 200, bytes, ...(receipt === undefined ? {} : { receipt }) };
}

/** A denied tool call is a result, because models can act on those; every other refusal is an error. */
function denied(request: AgentRequest, refusal: CallRefusal, ref: ReceiptRef | undefined): AgentAnswer {
  const { rpcCode, reason, policies, message, data } = refusal;
  const isDenial = rpcCode === RPC.denied || rpcCode === RPC.blocked;
  if (isDenial && request.message.method === "tools/call" && ref !== undefined) {
    const bytes = resultResponse(request.idText, deniedResult(request, refusal, ref));
    return { httpStatus: 200, bytes, receipt: ref };
  }
  const named = ref === undefined ? {} : { receipt: formatReceiptRef(ref) };
  const bytes = errorResponse(request.idText, rpcCode, message, { ...data, reason, policies, ...named });
  return { httpStatus: 200, bytes, ...(ref === undefined ? {} : { receipt: ref }) };
}

function deniedResult({ era }: AgentRequest, { reason, policies, message }: CallRefusal, ref: ReceiptRef): string {
  const receipt = formatReceiptRef(ref);
  return JSON.stringify({
    ...(era === "modern" ? { resultType: "complete" } : {}),
    content: [{ type: "text", text: `Denied: ${message} (reason ${reason}, receipt ${receipt})` }],
    isError: true,
    _meta: { [OUR_META.reason]: reason, [OUR_META.policies]: policies, [OUR_META.receipt]: receipt },
  });
}

function codeOf(error: unknown): string {
  return isCodedError(error) ? error.code : "ERR_BUG";
}
