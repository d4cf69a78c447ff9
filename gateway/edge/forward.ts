/**
 * The path of a call that policy decides: route, decide, dispatch, keep the outcome, answer. Nothing is sent before its
 * decision is durable, and nothing is answered before its outcome is. A request that goes over several rounds takes this
 * path for each of them.
 */

import type { AwaitedApproval, InboundCall } from "../pipeline/call.ts";
import { listenMessage } from "../upstream/own-request.ts";
import type { UpstreamReply } from "../upstream/upstream.ts";
import { RPC, refusal, type WireRefusal } from "../wire/rpc-error.ts";
import type { AgentAnswer, AgentRequest } from "./agent-request.ts";
import { answerToPage, asHeld, decideAsking, heldAnswer, takesPage, waitForDecision } from "./approval-rounds.ts";
import { askAll, withMembers } from "./bridged-rounds.ts";
import { concluding, denied, finish, recordedAnswer, withheld } from "./call-receipts.ts";
import { openState, scopeOf } from "./carried-state.ts";
import { type InputRound, inputFault, inputOf, settleInput } from "./input-rounds.ts";
import { type Ended, outcomeOf } from "./outcome.ts";
import { phantomAnswer } from "./phantom.ts";
import { refuseRequest } from "./refuse.ts";
import type { RoundState } from "./round-state.ts";
import {
  answerCut,
  type ForwardDeps,
  gateOf,
  inboundCall,
  type Round,
  type RoutedCall,
  send,
  writers,
} from "./round-trip.ts";
import { type Routed, type RouteRefusal, routeCall } from "./route-call.ts";

import { mayBeTaken, type SubscriptionTurn, settlingSubscription } from "./subscribing.ts";
import { asHeldTask, needsTask, takingTasks, withoutTask } from "./task-held.ts";
import { asksForTask, fullRefusal, madeTask, taskBound, taskRefusal } from "./task-making.ts";
import { makePhantom } from "./task-phantom.ts";
import { answerOfTask, isHeldTask } from "./task-wait.ts";

type ForwardRule = Parameters<typeof routeCall>[3];

/** A row of the method table, or a method that MCP does not define with where it goes. */
type AnyRule = ForwardRule | { readonly rule: "extension"; readonly routed: Routed };

/** Answers a request by the server that its target belongs to. */
export function forwardCall(deps: ForwardDeps, given: AgentRequest, rule: AnyRule): Promise<AgentAnswer> {
  const isExtension = rule.rule === "extension";
  const found = isExtension ? rule.routed : routeCall(deps.catalog, deps.upstreams, given, rule);
  const kind = isExtension ? "extension" : rule.kind;
  const routed = onOwnLeg(deps, given, found);
  if (routed.type === "refusal") {
    const { serverId } = routed;
    return refuseRequest(deps, routed, given, serverId === undefined ? {} : { serverId });
  }
  const request = withoutTask(deps, given, routed);
  const unscoped = scopeRefusal(deps, request, routed);
  if (unscoped !== undefined) return refuseRequest(deps, unscoped, request, { serverId: routed.route.serverId });
  const full = taskBound(deps, request, routed);
  const untaken = taskRefusal(deps, request, routed) ?? (full === undefined ? undefined : fullRefusal(full));
  if (untaken !== undefined) {
    const accounting = full === undefined ? {} : { accounting: full.accounting };
    return refuseRequest(deps, untaken, request, { serverId: routed.route.serverId, ...accounting });
  }
  const opened = openState(deps.rounds, request, routed);
  if (opened === "invalid") {
    const text = "the request state is not one that was given for this request";
    const refused = refusal("classify", "state.invalid", RPC.invalidParams, 200, text);
    return refuseRequest(deps, refused, request, { serverId: routed.route.serverId });
  }
  const held = opened?.held;
  if (held === undefined || opened === undefined) return forwardRound(deps, request, routed, kind, opened);
  return forwardHeld(deps, request, routed, kind, opened, held);
}

/** A retry of a call that was held: it waits for what is decided about it. */
async function forwardHeld(
  deps: ForwardDeps,
  request: AgentRequest,
  routed: RoutedCall,
  kind: ForwardRule["kind"],
  opened: RoundState,
  held: NonNullable<RoundState["held"]>,
): Promise<AgentAnswer> {
  await waitForDecision(deps, request, held.approval);
  const isOffered = answerToPage(request) !== "no";
  const approval = { id: held.approval, seq: held.seq };
  const state = opened.round === 0 ? undefined : opened;
  return forwardRound(deps, asHeld(request, opened), routed, kind, state, { approval, isOffered });
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
  const sent = sharedSubscription(deps, inboundCall(deps, request, routed, id, kind, state), request, id);
  const plain = asHeldTask(deps, request, routed, sent);
  const offered: InboundCall = isOffered ? { takesPage: true, ...plain } : plain;
  const call = waited === undefined ? offered : { ...offered, approval: waited.approval };
  const rulesBefore = deps.rules.count;
  const decided = await decideAsking(deps, request, call);
  if (decided === undefined) return withheld(request, undefined);
  if (decided.action === "refuse") {
    const asked = heldAnswer(deps.rounds, request, scopeOf(request, routed), state, decided);
    return asked ?? denied(request, decided.refusal, decided.receipt);
  }
  if (decided.action === "phantom") {
    return asksForTask(request)
      ? concluding(deps, decided, () => makePhantom(deps, request, routed, decided))
      : phantomAnswer(deps, request, decided);
  }
  const answer = await dispatch(deps, { request, routed, call, id, state, decided }, rulesBefore);
  return answer;
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

/** @param rulesBefore  changes of rules before the round was decided */
function dispatch(deps: ForwardDeps, round: Round, rulesBefore: number): Promise<AgentAnswer> {
  return concluding(deps, round.decided, () =>
    settlingSubscription(round, rulesBefore, (turn) => carryOut(deps, round, turn)),
  );
}

async function carryOut(deps: ForwardDeps, round: Round, turn: SubscriptionTurn): Promise<AgentAnswer> {
  const { request, routed, call, id, decided } = round;
  const started = performance.now();
  const gate = gateOf(deps, round);
  const sent = decided.toSend === call.toSend ? call : { ...call, toSend: decided.toSend };
  const first = await send(deps, request, routed, sent, id, gate);
  turn.mayStand = mayBeTaken(first);
  const reply = isHeldTask(round, first) ? await answerOfTask(deps, round, first) : first;
  const upstreamUs = Math.round((performance.now() - started) * 1000);
  const settled = gate?.settled();
  if (settled !== undefined) await settled;
  if (gate?.cut !== undefined) return answerCut(deps, round, gate, gate.cut, upstreamUs);
  const input = inputOf(reply, call.upstream.era, request);
  if (input !== undefined && request.era === "legacy") {
    return bridgeInput(deps, round, { ...input, upstreamUs });
  }
  if (needsTask(deps, round, reply)) return retryAsTask(deps, round, reply, upstreamUs);
  const made = input === undefined ? madeTask(deps, round, reply) : undefined;
  const ended =
    input === undefined
      ? (made?.ended ?? endedBy(round, reply))
      : await settleInput(deps, inputRound(deps, round, input));
  if (ended === "withheld") return withheld(request, decided.receipt);
  const kept = await finish(deps, decided, { upstreamUs, ...ended.outcome });
  made?.settle(kept);
  turn.kept = kept;
  turn.isTaken = ended.outcome.status === "ok";
  if (kept === undefined) return withheld(request, decided.receipt);
  if (kept.returned !== undefined) gate?.release();
  return recordedAnswer(request, decided.receipt, kept);
}

function endedBy(round: Round, reply: UpstreamReply): Ended {
  const [passOn, makeError] = writers(round);
  return outcomeOf(reply, passOn, makeError);
}

/** The agent is asked by requests; its answers go to the server with the next round, which is decided like the first. */
async function bridgeInput(
  deps: ForwardDeps,
  round: Round,
  { reply, input, upstreamUs }: NonNullable<ReturnType<typeof inputOf>> & { readonly upstreamUs: number },
): Promise<AgentAnswer> {
  const { request, call, state, decided } = round;
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
  const params = { ...request.message.params, ...answers.params };
  return nextRound(deps, round, request, input.state, (first) => ({
    toSend: withMembers(first.toSend, answers.members),
    params,
  }));
}

/** SPEC MCP 2026-07-28: -32021 says that nothing was done for want of a capability. The gateway takes the task, and waits for its end. */
async function retryAsTask(
  deps: ForwardDeps,
  round: Round,
  reply: UpstreamReply,
  upstreamUs: number,
): Promise<AgentAnswer> {
  const { request, decided, state } = round;
  const kept = await finish(deps, decided, { ...endedBy(round, reply).outcome, upstreamUs });
  if (kept === undefined) return withheld(request, decided.receipt);
  return nextRound(deps, round, takingTasks(request), state?.upstream ?? null, () => ({}));
}

/** The same call once more, decided like the first. */
async function nextRound(
  deps: ForwardDeps,
  { routed, call, state, decided }: Round,
  request: AgentRequest,
  upstream: string | null,
  more: (first: InboundCall) => Partial<Pick<InboundCall, "toSend" | "params">>,
): Promise<AgentAnswer> {
  const id = routed.upstream.nextId();
  const index = (state?.round ?? 0) + 1;
  const firstSeq = state?.firstSeq ?? decided.receipt.seq;
  const first = inboundCall(deps, request, routed, id, call.target.kind, undefined);
  const page = takesPage(request) ? { takesPage: true as const } : {};
  const next: InboundCall = { ...first, ...page, ...more(first), round: { index, firstSeq } };
  const rulesBefore = deps.rules.count;
  const decidedNext = await decideAsking(deps, request, next);
  if (decidedNext === undefined) return withheld(request, undefined);
  if (decidedNext.action === "refuse") return denied(request, decidedNext.refusal, decidedNext.receipt);
  if (decidedNext.action === "phantom") return phantomAnswer(deps, request, decidedNext);
  const nextState = { upstream, round: index, firstSeq, expiresMs: 0 };
  return dispatch(deps, { request, routed, call: next, id, state: nextState, decided: decidedNext }, rulesBefore);
}

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
