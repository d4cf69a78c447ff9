/**
 * `resources/subscribe` of a legacy agent, from what its server answered to what the agent is told. Either it stands on both sides
 * or on neither: one of which the agent is not told that it stands is taken back at its server, however the call ends.
 */

import type { CallOutcome } from "../pipeline/call.ts";
import type { UpstreamReply } from "../upstream/upstream.ts";
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
export async function settlingSubscription<T>(
  { request: { legs, message }, call }: Round,
  rulesBefore: number,
  run: (turn: SubscriptionTurn) => Promise<T>,
): Promise<T> {
  const turn: SubscriptionTurn = { mayStand: true, isTaken: false, kept: undefined };
  try {
    return await run(turn);
  } finally {
    const own = call.target.kind === "subscribe" ? legs?.subscriptions : undefined;
    const isTold = turn.isTaken && turn.kept?.returned !== undefined;
    if (message.method !== "resources/subscribe") {
      if (turn.isTaken) own?.delete(call.serverId, call.target.name);
    } else if (isTold) own?.add(call, rulesBefore);
    else if (turn.mayStand) own?.takeBack(call);
  }
}
