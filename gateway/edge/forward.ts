/**
 * The path of a call that policy decides: route, decide, dispatch, keep the outcome, answer. Nothing is sent before its
 * decision is durable, and nothing is answered before its outcome is. A request that goes over several rounds takes this
 * path for each of them.
 */

import { isJsonObject } from "../../kernel/json/value.ts";
import type { AwaitedApproval, CatalogReader, InboundCall } from "../pipeline/call.ts";
import { listenMessage } from "../upstream/own-request.ts";
import type { Upstream, UpstreamReply } from "../upstream/upstream.ts";
import {
  messageToAgent,
  mirroredCapabilities,
  progressToAgent,
  requestToServer,
  responseToAgent,
} from "../wire/bridge.ts";
import { META } from "../wire/meta-keys.ts";
import { errorResponse, RPC, refusal, type WireRefusal } from "../wire/rpc-error.ts";
import { rawAt } from "../wire/spans.ts";
import { type AgentAnswer, type AgentRequest, formatReceiptRef, wireFacts } from "./agent-request.ts";
import {
  type ApprovalDeps,
  answerToPage,
  asHeld,
  decideAsking,
  heldAnswer,
  takesPage,
  waitForDecision,
} from "./approval-rounds.ts";
import { askAll, withMembers } from "./bridged-rounds.ts";
import { denied, type Forwarded, finish, recordedAnswer, withheld } from "./call-receipts.ts";
import { openState, scopeOf } from "./carried-state.ts";
import type { EdgeOptions } from "./edge-options.ts";
import { type InputRound, inputFault, inputOf, settleInput } from "./input-rounds.ts";
import type { ModernLegs } from "./modern-legs.ts";
import { outcomeOf } from "./outcome.ts";
import { phantomAnswer } from "./phantom.ts";
import { type RefuseDeps, refuseRequest } from "./refuse.ts";
import type { RoundState, RoundStates } from "./round-state.ts";
import { type Routed, type RouteRefusal, routeCall } from "./route-call.ts";
import { type StreamCut, StreamGate } from "./stream-gate.ts";
import { upstreamHeaders } from "./upstream-headers.ts";

/** What forwarding needs. */
export interface ForwardDeps extends RefuseDeps, ApprovalDeps {
  readonly catalog: CatalogReader;
  readonly upstreams: ReadonlyMap<string, Upstream>;
  readonly rounds: RoundStates;
  /** Undefined where all modern agents are one. */
  readonly modernLegs?: ModernLegs | undefined;
  readonly scopes?: EdgeOptions["scopes"];
  readonly software: EdgeOptions["software"];
}

/** A call with the way that it takes to its server. */
type RoutedCall = Omit<Routed, "upstream"> & { readonly upstream: Pick<Upstream, "facts" | "nextId" | "request"> };

type ForwardRule = Parameters<typeof routeCall>[3];

/** Answers a request by the server that its target belongs to. */
export async function forwardCall(deps: ForwardDeps, request: AgentRequest, rule: ForwardRule): Promise<AgentAnswer> {
  const routed = onOwnLeg(deps, request, routeCall(deps.catalog, deps.upstreams, request, rule));
  if (routed.type === "refusal") {
    const { serverId } = routed;
    return refuseRequest(deps, routed, request, serverId === undefined ? {} : { serverId });
  }
  const unscoped = scopeRefusal(deps, request, routed);
  if (unscoped !== undefined) return refuseRequest(deps, unscoped, request, { serverId: routed.route.serverId });
  const opened = openState(deps.rounds, request, routed);
  if (opened === "invalid") {
    const text = "the request state is not one that was given for this request";
    const refused = refusal("classify", "state.invalid", RPC.invalidParams, 200, text);
    return refuseRequest(deps, refused, request, { serverId: routed.route.serverId });
  }
  const held = opened?.held;
  if (held === undefined || opened === undefined) return forwardRound(deps, request, routed, rule.kind, opened);
  await waitForDecision(deps, request, held.approval);
  const isOffered = answerToPage(request) !== "no";
  const approval = { id: held.approval, seq: held.seq };
  const state = opened.round === 0 ? undefined : opened;
  return forwardRound(deps, asHeld(request, opened), routed, rule.kind, state, { approval, isOffered });
}

/** @param waited  the approval that the agent has waited for, and whether its host is asked again if it has to wait on */
async function forwardRound(
  deps: ForwardDeps,
  request: AgentRequest,
  routed: RoutedCall,
  kind: ForwardRule["kind"],
  state: RoundState | undefined,
  waited?: { readonly approval: AwaitedApproval; readonly isOffered: boolean },
): Promise<AgentAnswer> {
  const id = routed.upstream.nextId();
  const isOffered = waited?.isOffered !== false && takesPage(request);
  const call: InboundCall = {
    ...sharedSubscription(deps, inboundCall(request, routed, id, kind, state), request, id),
    ...(isOffered ? { takesPage: true } : {}),
    ...(waited === undefined ? {} : { approval: waited.approval }),
  };
  const decided = await decideAsking(deps, request, call);
  if (decided === undefined) return withheld(request, undefined);
  if (decided.action === "refuse") {
    const asked = heldAnswer(deps.rounds, request, scopeOf(request, routed), state, decided);
    return asked ?? denied(request, decided.refusal, decided.receipt);
  }
  if (decided.action === "phantom") return phantomAnswer(deps, request, decided);
  return dispatch(deps, { request, routed, call, id, state, decided });
}

/** An agent has a session of its own at a legacy server that opens one; else it shares the gateway's connection. */
function onOwnLeg(
  { modernLegs }: ForwardDeps,
  request: AgentRequest,
  routed: Routed | RouteRefusal,
): RoutedCall | RouteRefusal {
  if (routed.type === "refusal") return routed;
  const leg = request.legs?.leg(routed.upstream) ?? modernLegs?.leg(request, routed.upstream);
  if (leg !== "full") return leg === undefined ? routed : { ...routed, upstream: leg };
  const full = refusal("limits", "limit.total", RPC.limit, 200, "too many sessions are open at servers");
  return { ...full, serverId: routed.route.serverId };
}

/** SPEC RFC 6750 §3.1: insufficient_scope is 403, and names every scope that the call needs. */
export function scopeRefusal(
  { scopes }: Pick<ForwardDeps, "scopes">,
  { caller, mount }: AgentRequest,
  { route }: Pick<RoutedCall, "route">,
): WireRefusal | undefined {
  const missing = scopes?.missingScopes(caller, route.serverId, route.name);
  if (scopes === undefined || missing === undefined) return undefined;
  const headers = scopes.challenge(mount.path, "auth.scope", missing);
  return refusal("authenticate", "auth.scope", RPC.invalidRequest, 403, "the credential lacks a scope", { headers });
}

function inboundCall(
  request: AgentRequest,
  { upstream, route, rename }: RoutedCall,
  id: number,
  kind: ForwardRule["kind"],
  state: RoundState | undefined,
): InboundCall {
  const facts = upstream.facts();
  const rewrite = {
    id,
    era: facts.era,
    isLine: facts.transport === "stdio",
    capabilities: mirroredCapabilities(request.capabilities.text),
    keepsLogLevel: request.notify !== undefined && facts.transport === "http",
    ...(state === undefined ? {} : { state: state.upstream }),
    // A legacy agent is given no state, so one that it sends is another's.
    ...(request.era === "legacy" ? { state: null } : {}),
    ...(rename === undefined ? {} : { name: rename }),
  };
  return {
    wire: wireFacts(request),
    caller: request.caller,
    session: request.session,
    serverId: route.serverId,
    mount: request.mount.path,
    target: { kind, name: route.name },
    params: request.message.params,
    received: request.received,
    toSend: requestToServer(request.message, rewrite),
    upstream: facts,
    ...(state === undefined ? {} : { round: { index: state.round, firstSeq: state.firstSeq } }),
  };
}

/**
 * A subscription of a legacy agent that has no session of its own at the server. A modern one takes it in its own way, and is
 * told of its end by the stream's; a child that agents share is told when nobody listens any more.
 */
function sharedSubscription(
  deps: ForwardDeps,
  call: InboundCall,
  { legs, message }: AgentRequest,
  id: number,
): InboundCall {
  if (call.target.kind !== "subscribe" || legs === undefined || legs.has(call.serverId)) return call;
  if (message.method === "resources/unsubscribe") return { ...call, isAnsweredHere: true };
  if (call.upstream.era === "legacy") return call;
  return { ...call, toSend: listenMessage(id, call.target.name, deps.software).bytes };
}

/** One round that is let through. */
interface Round {
  readonly request: AgentRequest;
  readonly routed: RoutedCall;
  readonly call: InboundCall;
  readonly id: number;
  readonly state: RoundState | undefined;
  readonly decided: Forwarded;
}

async function dispatch(deps: ForwardDeps, round: Round): Promise<AgentAnswer> {
  const { request, routed, call, id, decided } = round;
  const started = performance.now();
  const gate = gateOf(deps, round);
  const reply = await send(deps, request, routed, { ...call, toSend: decided.toSend }, id, gate);
  const upstreamUs = Math.round((performance.now() - started) * 1000);
  if (gate?.cut !== undefined) return answerCut(deps, round, gate, gate.cut, upstreamUs);
  const input = inputOf(reply, call.upstream.era, request);
  if (input !== undefined && request.era === "legacy") {
    return bridgeInput(deps, round, { ...input, upstreamUs });
  }
  const ended =
    input === undefined ? outcomeOf(reply, ...writers(round)) : await settleInput(deps, inputRound(deps, round, input));
  if (ended === "withheld") return withheld(request, decided.receipt);
  const kept = await finish(deps, decided, { ...ended.outcome, upstreamUs });
  if (call.target.kind === "subscribe" && ended.outcome.status === "ok") noteSubscription(request, call);
  if (kept === undefined) return withheld(request, decided.receipt);
  if (kept.returned !== undefined) gate?.release();
  return recordedAnswer(request, decided.receipt, kept);
}

/** The agent is asked by requests; its answers go to the server with the next round, which is decided like the first. */
async function bridgeInput(
  deps: ForwardDeps,
  round: Round,
  { reply, input, upstreamUs }: NonNullable<ReturnType<typeof inputOf>> & { readonly upstreamUs: number },
): Promise<AgentAnswer> {
  const { request, routed, call, state, decided } = round;
  const { receipt } = decided;
  const index = state?.round ?? 0;
  const [, makeError] = writers(round);
  const fault = inputFault({ reply, input, index, makeError });
  const asked = { status: "input_required", effect: "unknown", received: reply.bytes, uninspectedBytes: 0 } as const;
  const kept = await finish(deps, decided, { ...(fault?.outcome ?? asked), upstreamUs });
  if (kept === undefined) return withheld(request, receipt);
  if (fault !== undefined || "reason" in input) return recordedAnswer(request, receipt, kept);
  const answers = await askAll(deps, request, call.serverId, call.upstream, input);
  if (answers === undefined) {
    const bytes = makeError(RPC.internal, "client.cancelled", "the server's question was not answered");
    return { httpStatus: 200, bytes, receipt };
  }
  const id = routed.upstream.nextId();
  const firstSeq = state?.firstSeq ?? receipt.seq;
  const first = inboundCall(request, routed, id, call.target.kind, undefined);
  const next: InboundCall = {
    ...first,
    ...(takesPage(request) ? { takesPage: true } : {}),
    toSend: withMembers(first.toSend, answers.members),
    params: { ...request.message.params, ...answers.params },
    round: { index: index + 1, firstSeq },
  };
  const decidedNext = await decideAsking(deps, request, next);
  if (decidedNext === undefined) return withheld(request, undefined);
  if (decidedNext.action === "refuse") return denied(request, decidedNext.refusal, decidedNext.receipt);
  if (decidedNext.action === "phantom") return phantomAnswer(deps, request, decidedNext);
  const nextState = { upstream: input.state, round: index + 1, firstSeq, expiresMs: 0 };
  return dispatch(deps, { request, routed, call: next, id, state: nextState, decided: decidedNext });
}

/** For what the server says during the call; undefined if the agent takes none of it. */
function gateOf(deps: ForwardDeps, { request, decided }: Round): CutGate | undefined {
  const { notify, message, legs } = request;
  const isTold = legs !== undefined || wantsLog(request) || wantsProgress(message);
  if (notify === undefined || !isTold) return undefined;
  const controller = new AbortController();
  const watch = (): ReturnType<typeof deps.pipeline.watchStream> => deps.pipeline.watchStream(decided.ticket);
  const gate = new StreamGate({ notify, watch, cut: () => controller.abort() });
  return Object.assign(gate, { signal: controller.signal });
}

type CutGate = StreamGate & { readonly signal: AbortSignal };

/** The agent has perhaps got parts, and gets an error in place of the rest; the receipt says so. */
async function answerCut(
  deps: ForwardDeps,
  { request, decided }: Round,
  gate: StreamGate,
  { refusal, part }: StreamCut,
  upstreamUs: number,
): Promise<AgentAnswer> {
  const answer = denied(request, refusal, decided.receipt);
  const kept = await finish(deps, decided, {
    status: "blocked",
    effect: "unknown",
    received: part,
    returned: gate.statement(answer.bytes),
    upstreamUs,
    uninspectedBytes: 0,
    rpcCode: refusal.rpcCode,
    ...(gate.forwarded > 0 ? { isPartlyGiven: true } : {}),
  });
  return kept === undefined ? withheld(request, decided.receipt) : answer;
}

/** What a legacy agent is told of from now on, and no more. */
function noteSubscription({ legs, message }: AgentRequest, { serverId, target }: InboundCall): void {
  if (message.method === "resources/subscribe") legs?.subscribe(serverId, target.name);
  else legs?.unsubscribe(serverId, target.name);
}

/** How the agent's answer is made: from the server's, or as an error of ours. */
function writers({ request, call, decided }: Round, requestState?: string): [PassOn, MakeError] {
  const { message, idText, era } = request;
  const serverEra = call.upstream.era;
  const rewrite = { idText, method: message.method, agentEra: era, serverEra, isLine: isLine(request) };
  const receipt = formatReceiptRef(decided.receipt);
  return [
    (text) => responseToAgent(text, requestState === undefined ? rewrite : { ...rewrite, requestState }),
    (code, reason, text) => errorResponse(idText, code, text, { reason, receipt }),
  ];
}

type PassOn = Parameters<typeof outcomeOf>[1];
type MakeError = Parameters<typeof outcomeOf>[2];

function inputRound(
  deps: ForwardDeps,
  round: Round,
  { reply, input }: NonNullable<ReturnType<typeof inputOf>>,
): InputRound {
  const { request, routed, call, state, decided } = round;
  const [, makeError] = writers(round);
  return {
    call,
    reply,
    input,
    index: state?.round ?? 0,
    makeError,
    passOn: (upstream) => {
      const next = { upstream, round: (state?.round ?? 0) + 1, firstSeq: state?.firstSeq ?? decided.receipt.seq };
      const [passOn] = writers(round, deps.rounds.seal(next, scopeOf(request, routed)));
      return passOn(reply.text);
    },
  };
}

async function send(
  deps: ForwardDeps,
  request: AgentRequest,
  routed: RoutedCall,
  call: InboundCall,
  id: number,
  gate: CutGate | undefined,
): Promise<UpstreamReply> {
  if (request.signal.aborted) {
    return { type: "failed", status: "cancelled", effect: "none", reason: "client.cancelled" };
  }
  const { message, notify, legs } = request;
  if (call.isAnsweredHere === true) return NOTHING_SENT;
  if (call.target.kind === "subscribe" && legs?.has(call.serverId) === false) {
    const upstream = deps.upstreams.get(call.serverId);
    const headers = call.upstream.era === "modern" ? { "Mcp-Method": "subscriptions/listen" } : {};
    const toSend = { id, method: message.method, headers, bytes: call.toSend, signal: request.signal };
    if (upstream !== undefined) return legs.watch(upstream, toSend, call.target.name);
  }
  const token = rawAt(message.text, ["params", "_meta", "progressToken"]);
  const onProgress = (text: string): void => gate?.pass(progressToAgent(text, token ?? "null", isLine(request)));
  const onLog = (text: string): void => gate?.pass(messageToAgent(text, isLine(request)));
  const signal = gate === undefined ? request.signal : AbortSignal.any([request.signal, gate.signal]);
  const run = (): Promise<UpstreamReply> =>
    routed.upstream.request({
      id,
      method: message.method,
      headers: upstreamHeaders(request, call, routed.mirrored),
      bytes: call.toSend,
      signal,
      ...(notify === undefined || token === undefined ? {} : { onProgress }),
      ...(notify === undefined || !wantsLog(request) ? {} : { onLog }),
    });
  if (request.legs === undefined) return run();
  return request.legs.during(call.serverId, id, { notify, pass: gate?.pass, signal }, run);
}

/** What the end of a subscription is answered with, of which a server is told by other means or not at all. */
const NOTHING_SENT: UpstreamReply = {
  type: "answered",
  bytes: new Uint8Array(),
  text: '{"jsonrpc":"2.0","id":0,"result":{}}',
  body: { jsonrpc: "2.0", id: 0, result: {} },
};

function wantsProgress({ params }: AgentRequest["message"]): boolean {
  const meta = params["_meta"];
  return isJsonObject(meta) && meta["progressToken"] !== undefined;
}

/** A modern agent says with each request whether it wants log messages. */
function wantsLog({ era, message }: AgentRequest): boolean {
  const meta = message.params["_meta"];
  return era === "modern" && isJsonObject(meta) && meta[META.logLevel] !== undefined;
}

function isLine({ transport }: AgentRequest): boolean {
  return transport === "stdio";
}
