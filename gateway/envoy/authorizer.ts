/**
 * Decides requests that Envoy forwards itself: the same checks, the same pipeline and the same receipts as at the gateway's
 * own endpoint. What the gateway answers from the approved catalog it answers here too, through Envoy. A call that is let
 * go is not seen again: its outcome receipt says that nobody knows what became of it.
 */

import { equalBytes } from "../../kernel/bytes.ts";
import type { Revision } from "../../kernel/receipt/vocabulary.ts";
import {
  type AgentAnswer,
  type AgentRequest,
  declaredIn,
  httpRequest,
  idTextOf,
  NO_CAPABILITIES,
  wireFacts,
} from "../edge/agent-request.ts";
import { decide, denied, finish, refusalResponse, withheld } from "../edge/call-receipts.ts";
import { type Dispatcher, makeDispatcher } from "../edge/dispatcher.ts";
import type { EdgeOptions } from "../edge/edge-options.ts";
import { scopeRefusal } from "../edge/forward.ts";
import { readInitialize } from "../edge/handshake.ts";
import { checkMedia, refuse as transportRefusal } from "../edge/http-checks.ts";
import { phantomAnswer } from "../edge/phantom.ts";
import { refuse, refuseRequest } from "../edge/refuse.ts";
import { type Routed, routeCall } from "../edge/route-call.ts";
import { modernSessionKey } from "../edge/session-key.ts";
import type { Authenticate } from "../identity/authenticator.ts";
import type { Caller, InboundCall, Refusal, SessionKey } from "../pipeline/call.ts";
import { eraOf } from "../wire/era.ts";
import { notificationRule, type RequestRule, requestRule } from "../wire/methods.ts";
import { revisionNamed } from "../wire/revisions.ts";
import { type RpcMessage, type RpcRequest, readMessage } from "../wire/rpc.ts";
import { RPC, refusal, scanRefusal, type WireRefusal } from "../wire/rpc-error.ts";
import type { CheckRequest } from "./check-proto.ts";
import { type CheckedRequest, readBody, readChecked } from "./checked-request.ts";

/** What an authorizer is made of. */
export interface AuthorizerOptions extends EdgeOptions {
  readonly authenticate: Authenticate;
  readonly maxBodyBytes: number;
  /** Values of `Origin` that browsers may send. */
  readonly allowedOrigins: ReadonlySet<string>;
}

/** What Envoy is told: let it go on, with the number of its decision; or answer the client with this. */
export type Verdict =
  | { readonly type: "pass"; readonly receipt?: AgentAnswer["receipt"] }
  | { readonly type: "answer"; readonly answer: AgentAnswer };

/** Decides one request. */
export type Authorize = (request: CheckRequest) => Promise<Verdict>;

/** Requests that belong to the session with the server and call nothing. */
const PASSED_REQUESTS: ReadonlySet<string> = new Set(["ping", "logging/setLevel"]);

const PASS: Verdict = { type: "pass" };

/** Makes it. */
export function makeAuthorizer(options: AuthorizerOptions): Authorize {
  const passed = new WeakSet<AgentAnswer>();
  const deps = { ...options, passed, dispatcher: makeDispatcher(options, forwarding(options, passed)) };
  return async (request) => {
    const checked = readChecked(options.catalog, request);
    if (checked.type === "refusal") return turnAway(deps, checked, {});
    return authorize(deps, checked);
  };
}

interface Deps extends AuthorizerOptions {
  readonly dispatcher: Dispatcher;
  /** Answers that stand for calls which go on. */
  readonly passed: WeakSet<AgentAnswer>;
}

type Known = Omit<Refusal, "step" | "reason" | "wire">;

async function turnAway(deps: Deps, refused: WireRefusal, known: Known, message?: RpcMessage): Promise<Verdict> {
  const isCall = message?.type === "request" || message?.type === "notification";
  const method = isCall ? { method: message.method } : {};
  const id = message?.type === "request" ? { id: message.id } : {};
  const facts = { ...known, wire: { transport: "http", ...method, ...id } as const };
  const answer = await refuse(deps, refused, facts, message?.type === "request" ? idTextOf(message) : undefined);
  return { type: "answer", answer };
}

/** What is checked of the head, who asks, then the body. */
async function authorize(deps: Deps, checked: CheckedRequest): Promise<Verdict> {
  const { headers, method, mount, certificate, http } = checked;
  const misfit = headFault(deps, checked);
  if (misfit !== undefined) return turnAway(deps, misfit, {});
  const { authorization, dpop } = headers;
  const shown = await deps.authenticate({ authorization, dpop, httpMethod: method, path: mount.path, certificate });
  if (shown.type === "refused") return turnAway(deps, unauthorized(shown), claimedBy(shown));
  const { caller } = shown;
  if (method === "DELETE") return endSession(deps, checked, caller);
  const body = readBody(http, deps.maxBodyBytes);
  if ("type" in body) return turnAway(deps, body, { caller });
  return decideMessage(deps, { ...checked, caller, body });
}

function headFault({ allowedOrigins }: Deps, { headers, method }: CheckedRequest): WireRefusal | undefined {
  const { origin } = headers;
  if (origin !== undefined && !allowedOrigins.has(origin)) {
    return transportRefusal("http.origin", 403, "the Origin is not allowed");
  }
  // A stream that a server opens by itself would bring messages that nobody decides.
  const isKnown = method === "POST" || method === "DELETE";
  if (!isKnown)
    return transportRefusal("http.method", 405, "want POST, or DELETE of a session", { Allow: "POST, DELETE" });
  return method === "POST" ? checkMedia(headers) : undefined;
}

type Refused = Extract<Awaited<ReturnType<Authenticate>>, { type: "refused" }>;

function unauthorized({ reason, httpStatus, headers }: Refused): WireRefusal {
  const text = "want a credential that this gateway takes";
  return refusal("authenticate", reason, RPC.invalidRequest, httpStatus, text, { headers });
}

function claimedBy({ claimed }: Refused): Known {
  return claimed === undefined ? {} : { claimed };
}

async function endSession(deps: Deps, { headers }: CheckedRequest, caller: Caller): Promise<Verdict> {
  await deps.pipeline.sealSession(caller, legacySession(headers["mcp-session-id"]), "ended");
  return PASS;
}

/** A request with its sender and its body. */
type Sent = CheckedRequest & { readonly caller: Caller; readonly body: Uint8Array };

async function decideMessage(deps: Deps, sent: Sent): Promise<Verdict> {
  const { caller, body, headers } = sent;
  const known = { caller, received: body };
  const message = readMessage(body, "ingress", deps.maxBodyBytes);
  if (message.type === "fault") return turnAway(deps, scanRefusal(message.reason), known);
  if (message.type === "response") {
    const text = "questions of servers are not carried here, so nothing answers one";
    return turnAway(deps, refusal("classify", "rpc.shape", RPC.invalidRequest, 400, text), known, message);
  }
  const era = eraOf(message, headers);
  if (era.type === "refusal") return turnAway(deps, era, known, message);
  if (message.type === "notification") {
    if (notificationRule(message.method, era.type, "http") !== "refuse") return PASS;
    const text = "the gateway does not carry this notification";
    const refused = refusal("classify", "mcp.notification-refused", RPC.invalidRequest, 400, text);
    return turnAway(deps, refused, known, message);
  }
  if (era.type === "modern") return decideRequest(deps, agentRequest(sent, message, "modern", era.revision));
  return decideLegacy(deps, sent, message);
}

/** The handshake and what keeps a session go on: they call nothing, and at the gateway's own endpoint have no receipt either. */
async function decideLegacy(deps: Deps, sent: Sent, message: RpcRequest): Promise<Verdict> {
  if (message.method === "initialize") {
    const agreed = readInitialize(message);
    const known = { caller: sent.caller, received: sent.body };
    return agreed.type === "handshake" ? PASS : turnAway(deps, agreed, known, message);
  }
  if (PASSED_REQUESTS.has(message.method)) return PASS;
  const named = revisionNamed(sent.headers["mcp-protocol-version"] ?? FIRST_REVISION);
  return decideRequest(deps, agentRequest(sent, message, "legacy", named?.revision ?? FIRST_REVISION));
}

/** SPEC MCP 2025-06-18: without the header a server takes the revision for 2025-03-26. */
const FIRST_REVISION: Revision = "2025-03-26";

function agentRequest(sent: Sent, message: RpcRequest, era: AgentRequest["era"], revision: Revision): AgentRequest {
  const { caller, headers } = sent;
  const isModern = era === "modern";
  return httpRequest(sent, message, {
    era,
    revision,
    session: isModern
      ? modernSessionKey(message.params, headers["traceparent"], caller)
      : legacySession(headers["mcp-session-id"]),
    capabilities: isModern ? declaredIn(message) : NO_CAPABILITIES,
    legs: undefined,
    signal: new AbortController().signal,
    untilWritten: undefined,
    notify: undefined,
  });
}

/** The server gave the id, and only the client says it: nobody here can tell whose it is. */
function legacySession(id: string | undefined): SessionKey {
  if (id === undefined) return { key: "", source: "idle-window", trust: "inferred" };
  return { key: id, source: "mcp-session-id", trust: "host-asserted" };
}

async function decideRequest(deps: Deps, request: AgentRequest): Promise<Verdict> {
  const { dispatcher, passed } = deps;
  if (requestRule(request.message.method, request.era).rule === "listen") {
    const text = "streams of notices are not carried here";
    const refused = refusal("classify", "bridge.unsupported", RPC.methodNotFound, 404, text);
    return { type: "answer", answer: await refuseRequest(deps, refused, request) };
  }
  const answer = await dispatcher.answer(request);
  const { receipt } = answer;
  if (!passed.has(answer)) return { type: "answer", answer };
  return receipt === undefined ? PASS : { type: "pass", receipt };
}

type ForwardRule = Extract<RequestRule, { rule: "forward" }>;

/** In the place of forwarding: decides, keeps the outcome as unknown, and marks the answer of what may go on. */
function forwarding(
  options: AuthorizerOptions,
  passed: WeakSet<AgentAnswer>,
): (deps: object, request: AgentRequest, rule: ForwardRule) => Promise<AgentAnswer> {
  return async (_deps, request, rule) => {
    const routed = routeCall(options.catalog, options.upstreams, request, rule);
    if (routed.type === "refusal") {
      const { serverId } = routed;
      return refuseRequest(options, routed, request, serverId === undefined ? {} : { serverId });
    }
    const unscoped = scopeRefusal(options, request, routed);
    if (unscoped !== undefined) return refuseRequest(options, unscoped, request, { serverId: routed.route.serverId });
    const answer = await decideCall(options, request, callOf(request, routed, rule));
    if (answer.type === "pass") passed.add(answer.answer);
    return answer.answer;
  };
}

interface DecidedCall {
  readonly type: "pass" | "answer";
  readonly answer: AgentAnswer;
}

async function decideCall(options: AuthorizerOptions, request: AgentRequest, call: InboundCall): Promise<DecidedCall> {
  const told = (answer: AgentAnswer): DecidedCall => ({ type: "answer", answer });
  const decided = await decide(options, call);
  if (decided === undefined) return told(withheld(request, undefined));
  if (decided.action === "refuse") return told(denied(request, decided.refusal, decided.receipt));
  if (decided.action === "phantom") return told(await phantomAnswer(options, request, decided));
  if (!equalBytes(decided.toSend, call.toSend)) return told(await notRedacted(options, request, decided));
  const kept = await finish(options, decided, UNSEEN);
  const { receipt } = decided;
  if (kept === undefined) return told(withheld(request, receipt));
  // Policy speaks of the result, which nobody here will see.
  if (kept.refusal !== undefined) return told(denied(request, kept.refusal, receipt));
  return { type: "pass", answer: { httpStatus: 200, bytes: new Uint8Array(), receipt } };
}

const UNSEEN = {
  status: "unknown",
  effect: "unknown",
  unseen: "upstream.unseen",
  upstreamUs: 0,
  uninspectedBytes: 0,
} as const;

type Decision = Parameters<typeof finish>[1] & { readonly receipt: NonNullable<AgentAnswer["receipt"]> };

/** Envoy sends the body that it has, so a policy that wants something taken out of it ends the call. */
async function notRedacted(options: AuthorizerOptions, request: AgentRequest, decided: Decision): Promise<AgentAnswer> {
  const nothing = { status: "cancelled", effect: "none", upstreamUs: 0, uninspectedBytes: 0 } as const;
  const kept = await finish(options, decided, nothing);
  if (kept === undefined) return withheld(request, decided.receipt);
  const message = "Policy wants something taken out of this call, which cannot be done on this path.";
  const told = { rpcCode: RPC.denied, reason: "inspect.redact-failed", policies: [], message } as const;
  return { httpStatus: 200, bytes: refusalResponse(request.idText, told, decided.receipt), receipt: decided.receipt };
}

/** The call as it will be sent: the bytes as they came, in the agent's own era. */
function callOf(request: AgentRequest, { route }: Routed, { kind }: ForwardRule): InboundCall {
  const { caller, session, received, message, era, revision } = request;
  return {
    wire: wireFacts(request),
    caller,
    session,
    serverId: route.serverId,
    mount: request.mount.path,
    target: { kind, name: route.name },
    params: message.params,
    received,
    toSend: received,
    upstream: { transport: "http", era, revision },
  };
}
