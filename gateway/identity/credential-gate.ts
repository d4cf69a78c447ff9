/**
 * A credential is checked when its request comes. What waits behind that, for a server's lists, for an approval or for an agent's answer,
 * is decided on what still holds: a credential that has ended meanwhile lets nothing out.
 */

import type { InboundCall } from "../pipeline/call.ts";
import type { Denial } from "../pipeline/judge.ts";
import type { Gate } from "../pipeline/stage.ts";
import { RPC } from "../wire/rpc-error.ts";

/** What a server asks of an agent is part of a call that was let through before. */
const QUESTIONS: ReadonlySet<InboundCall["target"]["kind"]> = new Set(["sample", "elicit", "roots"]);

const ENDED: Denial = {
  step: "authenticate",
  reason: "auth.expired",
  rpcCode: RPC.denied,
  message: "The credential of this call has ended while the call waited.",
  isFinal: true,
};

/** @param leewayMs  tolerated difference of clocks, as where requests come in */
export function credentialGate(nowMs: () => number, leewayMs: number): Gate {
  return {
    name: "credential",
    admit: () => ({ type: "admitted" }),
    again: ({ caller, target }) => {
      const endsMs = caller.facts?.expiresAtMs;
      if (endsMs === undefined || QUESTIONS.has(target.kind) || nowMs() < endsMs + leewayMs) return undefined;
      return ENDED;
    },
  };
}
