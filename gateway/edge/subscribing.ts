/**
 * `resources/subscribe` of a legacy agent, from what its server answered to what the agent is told. Either it stands on both sides
 * or on neither: one of which the agent is not told that it stands is taken back at its server, however the call ends.
 */

import type { CallOutcome } from "../pipeline/call.ts";
import type { UpstreamReply } from "../upstream/upstream.ts";
import type { LegSubscriptions } from "./leg-subscriptions.ts";
import type { Round } from "./round-trip.ts";

/** What becomes of one round. */
export interface SubscriptionTurn {
  /** The server may have taken it. */
  mayStand: boolean;
  /** The server took it. */
  isTaken: boolean;
  /** What was recorded, which is what the agent is told. */
  kept: CallOutcome | undefined;
}

/** True if the server has, or may have, done what it was asked. */
export function mayBeTaken(reply: UpstreamReply): boolean {
  return reply.type === "answered" ? reply.body["error"] === undefined : reply.effect !== "none";
}

/** Runs a round, then notes what of the agent's subscriptions stands by it. @param rulesBefore  changes of rules before it was decided */
export function settlingSubscription<T>(
  round: Round,
  rulesBefore: number,
  run: (turn: SubscriptionTurn) => Promise<T>,
): Promise<T> {
  const turn: SubscriptionTurn = { mayStand: true, isTaken: false, kept: undefined };
  const own = round.call.target.kind === "subscribe" ? round.request.legs?.subscriptions : undefined;
  // Of most calls nothing stands.
  if (own === undefined) return run(turn);
  const isMade = round.request.message.method === "resources/subscribe";
  const ended = isMade ? own.begin(round.call) : undefined;
  return run(turn).finally(() => {
    settle(own, round, rulesBefore, turn);
    ended?.();
  });
}

function settle(
  own: LegSubscriptions,
  { request: { message }, call }: Round,
  rulesBefore: number,
  { mayStand, isTaken, kept }: SubscriptionTurn,
): void {
  if (message.method !== "resources/subscribe") {
    if (isTaken) own.delete(call.serverId, call.target.name);
  } else if (isTaken && kept?.returned !== undefined) own.add(call, rulesBefore);
  else if (mayStand) own.takeBack(call);
}
