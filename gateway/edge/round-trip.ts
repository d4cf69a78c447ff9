/** One round of a call that was let through, on its way to the server and back: what is sent, what is told meanwhile, how it is answered. */

import { isJsonObject } from "../../kernel/json/value.ts";
import type { CatalogReader, InboundCall, UpstreamFacts } from "../pipeline/call.ts";
import { Cancellation, type CancelSignal, firstOf } from "../upstream/cancellation.ts";
import type { Upstream, UpstreamReply, UpstreamRequest } from "../upstream/upstream.ts";
import {
  messageToAgent,
  mirroredCapabilities,
  progressToAgent,
  type RequestRewrite,
  requestToServer,
  responseToAgent,
} from "../wire/bridge.ts";
import { META, TASKS_EXTENSION } from "../wire/meta-keys.ts";
import { errorResponse } from "../wire/rpc-error.ts";
import { rawAt } from "../wire/spans.ts";
import { type AgentAnswer, type AgentRequest, formatReceiptRef, wireFacts } from "./agent-request.ts";
import type { ApprovalDeps } from "./approval-rounds.ts";
import { denied, type Forwarded, finish, withheld } from "./call-receipts.ts";
import type { EdgeOptions } from "./edge-options.ts";
import type { ModernLegs } from "./modern-legs.ts";
import type { outcomeOf } from "./outcome.ts";
import type { RefuseDeps } from "./refuse.ts";
import type { RoundState, RoundStates } from "./round-state.ts";
import type { Routed } from "./route-call.ts";
import { type StreamCut, StreamGate } from "./stream-gate.ts";
import { hasTasksExtension } from "./task-support.ts";
import type { TaskTable } from "./task-table.ts";
import { upstreamHeaders } from "./upstream-headers.ts";

/** What forwarding needs. */
export interface ForwardDeps extends RefuseDeps, ApprovalDeps {
  readonly catalog: CatalogReader;
  readonly upstreams: ReadonlyMap<string, Upstream>;
  readonly rounds: RoundStates;
  /** Undefined where all modern agents are one. */
  readonly modernLegs?: ModernLegs | undefined;
  readonly tasks: TaskTable;
  readonly scopes?: EdgeOptions["scopes"];
  readonly software: EdgeOptions["software"];
  readonly rules: EdgeOptions["rules"];
}

/** A call with the way that it takes to its server. */
export type RoutedCall = Omit<Routed, "upstream"> & {
  readonly upstream: Pick<Upstream, "facts" | "nextId" | "request">;
};

/** One round that is let through. */
export interface Round {
  readonly request: AgentRequest;
  readonly routed: RoutedCall;
  readonly call: InboundCall;
  readonly id: number;
  readonly state: RoundState | undefined;
  readonly decided: Forwarded;
}

/** The call as policy sees it, and as it goes to the server. */
export function inboundCall(
  { catalog }: Pick<ForwardDeps, "catalog">,
  request: AgentRequest,
  routed: RoutedCall,
  id: number,
  kind: InboundCall["target"]["kind"],
  state: RoundState | undefined,
): InboundCall {
  const { upstream, route, extensions } = routed;
  const facts = upstream.facts();
  const call: InboundCall = {
    wire: wireFacts(request),
    caller: request.caller,
    session: request.session,
    serverId: route.serverId,
    mount: request.mount.path,
    target: { kind, name: route.name },
    params: request.message.params,
    received: request.received,
    toSend: requestToServer(request.message, rewriteOf(catalog, request, routed, facts, id, state)),
    upstream: facts,
  };
  if (extensions === undefined && state === undefined) return call;
  return {
    ...call,
    ...(extensions === undefined ? {} : { extensions }),
    ...(state === undefined ? {} : { round: { index: state.round, firstSeq: state.firstSeq } }),
  };
}

function rewriteOf(
  catalog: CatalogReader,
  request: AgentRequest,
  { route, rename, extensions }: RoutedCall,
  facts: UpstreamFacts,
  id: number,
  state: RoundState | undefined,
): RequestRewrite {
  const carried = hasTasksExtension(catalog.capabilities(route.serverId)) ? CARRIED : NONE;
  const rewrite: RequestRewrite = {
    id,
    era: facts.era,
    isLine: facts.transport === "stdio",
    capabilities: mirroredCapabilities(request.capabilities.text, extensions ?? carried),
    keepsLogLevel: request.notify !== undefined && facts.transport === "http",
  };
  if (state === undefined && request.era === "modern" && rename === undefined) return rewrite;
  return {
    ...rewrite,
    ...(state === undefined ? {} : { state: state.upstream }),
    // A legacy agent is given no state, so one that it sends is another's.
    ...(request.era === "legacy" ? { state: null } : {}),
    ...(rename === undefined ? {} : { name: rename }),
  };
}

const CARRIED = [TASKS_EXTENSION];
const NONE: readonly string[] = [];

/** Sends a call that was let through, and waits for what comes of it. */
export function send(
  deps: ForwardDeps,
  request: AgentRequest,
  routed: RoutedCall,
  call: InboundCall,
  id: number,
  gate: CutGate | undefined,
): Promise<UpstreamReply> {
  if (request.signal.aborted) return Promise.resolve(CANCELLED);
  const { message, notify, legs } = request;
  if (call.isAnsweredHere === true) return Promise.resolve(NOTHING_SENT);
  if (call.target.kind === "subscribe" && legs?.has(call.serverId) === false) {
    const upstream = deps.upstreams.get(call.serverId);
    const headers = call.upstream.era === "modern" ? { "Mcp-Method": "subscriptions/listen" } : {};
    const toSend = { id, method: message.method, headers, bytes: call.toSend, signal: request.signal };
    if (upstream !== undefined) return legs.subscriptions.watch(upstream, toSend, call.target.name);
  }
  const signal = gate === undefined ? request.signal : firstOf([request.signal, gate.signal]);
  const headers = upstreamHeaders(request, call, routed.mirrored);
  const plain: UpstreamRequest = { id, method: message.method, headers, bytes: call.toSend, signal };
  const toSend = gate === undefined ? plain : { ...plain, ...told(request, gate) };
  if (legs === undefined) return routed.upstream.request(toSend);
  const run = (): Promise<UpstreamReply> => routed.upstream.request(toSend);
  return legs.during(call.serverId, id, { notify, pass: gate?.pass, signal }, run);
}

const CANCELLED: UpstreamReply = { type: "failed", status: "cancelled", effect: "none", reason: "client.cancelled" };

/** What of the server's words on the call's own stream the agent is told. */
function told(request: AgentRequest, gate: CutGate): Pick<UpstreamRequest, "onProgress" | "onLog"> {
  const token = rawAt(request.message.text, ["params", "_meta", "progressToken"]);
  const onProgress = (text: string): void => gate.pass(progressToAgent(text, token ?? "null", isLine(request)));
  const onLog = (text: string): void => gate.pass(messageToAgent(text, isLine(request)));
  return { ...(token === undefined ? {} : { onProgress }), ...(wantsLog(request) ? { onLog } : {}) };
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

/** For what the server says during the call; undefined if the agent takes none of it. */
export function gateOf(deps: ForwardDeps, { request, decided }: Round): CutGate | undefined {
  const { notify, message, legs } = request;
  const isTold = legs !== undefined || wantsLog(request) || wantsProgress(message);
  if (notify === undefined || !isTold) return undefined;
  const signal = new Cancellation();
  const watch = (): ReturnType<typeof deps.pipeline.watchStream> => deps.pipeline.watchStream(decided.ticket);
  const bring = (): Promise<void> | undefined => deps.pipeline.bringLabels(decided.ticket);
  const gate = new StreamGate({ notify, watch, bring, cut: () => signal.abort() });
  return Object.assign(gate, { signal });
}

type CutGate = StreamGate & { readonly signal: CancelSignal };

/** The agent has perhaps got parts, and gets an error in place of the rest; the receipt says so. */
export async function answerCut(
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

/** How the agent's answer is made: from the server's, or as an error of ours. */
export function writers(
  { request, call, decided }: Pick<Round, "request" | "call" | "decided">,
  requestState?: string,
): [PassOn, MakeError] {
  const { message, idText, era } = request;
  const serverEra = call.upstream.era;
  const rewrite = { idText, method: message.method, agentEra: era, serverEra, isLine: isLine(request) };
  return [
    (text) => responseToAgent(text, requestState === undefined ? rewrite : { ...rewrite, requestState }),
    (code, reason, text) => errorResponse(idText, code, text, { reason, receipt: formatReceiptRef(decided.receipt) }),
  ];
}

type PassOn = Parameters<typeof outcomeOf>[1];
type MakeError = Parameters<typeof outcomeOf>[2];
