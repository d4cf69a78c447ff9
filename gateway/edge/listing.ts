/**
 * Lists of an agent, from what it is offered. Where a policy is about lists, each server's is decided with receipts, and one that a
 * policy refuses is left out as if the server had nothing. What refuses it otherwise is told: a limit is no empty list.
 */

import type { Decided, InboundCall, ListKind } from "../pipeline/call.ts";
import type { Offers } from "../pipeline/offers.ts";
import type { Upstream } from "../upstream/upstream.ts";
import { oneLine } from "../wire/one-line.ts";
import { resultResponse } from "../wire/rpc-error.ts";
import { type AgentAnswer, type AgentRequest, wireFacts } from "./agent-request.ts";
import { concludingAll, decide, denied, finish, type ReceiptDeps, withheld } from "./call-receipts.ts";
import { type LocalAnswers, listResult } from "./local-answers.ts";

/** What listing needs. */
export interface ListingDeps extends ReceiptDeps, LocalAnswers {
  readonly offers?: Offers | undefined;
  readonly upstreams: ReadonlyMap<string, Upstream>;
}

/** Answers a list. */
export async function listing(deps: ListingDeps, request: AgentRequest, kind: ListKind): Promise<AgentAnswer> {
  const { mount, era } = request;
  const who = { ...request, wire: wireFacts(request) };
  const decidedOf = mount.serverIds.filter((id) => deps.offers?.isListDecided(who, id) === true);
  if (decidedOf.length === 0) return answerOf(request, listResult(deps, mount, kind, era));
  const decided = await Promise.all(decidedOf.map(async (id) => [id, await decideList(deps, request, id)] as const));
  const known = decided.flatMap(([id, one]) => (one === undefined ? [] : [[id, one] as const]));
  return concludingAll(
    deps,
    known.map(([, one]) => one),
    async () => (known.length < decided.length ? withheld(request, undefined) : answerList(deps, request, kind, known)),
  );
}

/** @param known  the decision about each server's */
async function answerList(
  deps: ListingDeps,
  request: AgentRequest,
  kind: ListKind,
  known: readonly (readonly [serverId: string, decided: Decided])[],
): Promise<AgentAnswer> {
  const stopped = known.flatMap(([, one]) => (one.action === "refuse" && !isPolicys(one) ? [one] : []))[0];
  if (stopped === undefined) return give(deps, request, kind, known);
  for (const [, one] of known) await cancelList(deps, one);
  return denied(request, stopped.refusal, stopped.receipt);
}

/** The lists of those that are not left out, once each has its outcome. */
async function give(
  deps: ListingDeps,
  request: AgentRequest,
  kind: ListKind,
  decided: readonly (readonly [serverId: string, decided: Decided])[],
): Promise<AgentAnswer> {
  const { mount, era } = request;
  const leftOut = new Set(decided.flatMap(([id, { action }]) => (action === "refuse" ? [id] : [])));
  const serverIds = mount.serverIds.filter((id) => !leftOut.has(id));
  const answer = answerOf(request, listResult(deps, { ...mount, serverIds }, kind, era));
  for (const [, one] of decided) {
    if (one.action === "refuse") continue;
    const ended = one.action === "phantom" ? PHANTOM : GIVEN;
    const given = { ...ended, returned: answer.bytes, upstreamUs: 0, uninspectedBytes: 0 };
    if ((await finish(deps, one, given)) === undefined) return withheld(request, one.receipt);
  }
  return answer;
}

function isPolicys({ refusal: { reason } }: Extract<Decided, { action: "refuse" }>): boolean {
  return reason === "policy.forbid" || reason === "policy.error" || reason === "policy.engine-failed";
}

/** Nothing of it is given. */
async function cancelList(deps: ListingDeps, decided: Decided): Promise<void> {
  if (decided.action === "refuse") return;
  const status = decided.action === "phantom" ? "phantom" : "cancelled";
  await finish(deps, decided, { status, effect: "none", upstreamUs: 0, uninspectedBytes: 0 });
}

const GIVEN = { status: "ok", effect: "done" } as const;
const PHANTOM = { status: "phantom", effect: "none" } as const;

function decideList(deps: ListingDeps, request: AgentRequest, serverId: string): Promise<Decided | undefined> {
  const { caller, session, message, received } = request;
  const upstream = deps.upstreams.get(serverId)?.facts() ?? { transport: "stdio", era: "legacy" };
  const call: InboundCall = {
    wire: wireFacts(request),
    caller,
    session,
    serverId,
    target: { kind: "list", name: message.method },
    params: message.params,
    received,
    toSend: received,
    upstream,
    isAnsweredHere: true,
  };
  return decide(deps, call);
}

/** Definitions are in the words of their servers, which may go on over several lines. */
function answerOf({ idText, transport }: AgentRequest, result: string): AgentAnswer & { readonly bytes: Uint8Array } {
  return { httpStatus: 200, bytes: resultResponse(idText, transport === "stdio" ? oneLine(result) : result) };
}
