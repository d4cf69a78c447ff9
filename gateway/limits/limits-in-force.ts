/**
 * The limits of now: an artifact of version 2 seals all of them, one of version 1 lowers the configured ones, and what binds one
 * agent or session lowers these for its own calls. A renewal changes them from the next call on.
 */

import type { PolicyArtifact } from "../../kernel/policy-artifact.ts";
import type { SealedLimits } from "../../kernel/sealed-limits.ts";
import type { ArtifactInForce } from "../artifact/artifact-in-force.ts";
import type { SessionArtifacts } from "../artifact/session-artifacts.ts";
import type { BoundCall } from "../pipeline/bound-call.ts";
import { type CallLimits, type CallLimitsConfig, callLimitsOf, narrowedBy, sealedCallLimits } from "./call-limits.ts";

/** The limits that hold for a call, or for a session that is being opened. */
export type LimitsInForce = (call: BoundCall) => CallLimits;

/** Makes the function; limits are made anew only when an artifact is another one. */
export function makeLimitsInForce(
  config: CallLimitsConfig,
  artifact: Pick<ArtifactInForce, "current">,
  sessions: Pick<SessionArtifacts, "limitsOf">,
): LimitsInForce {
  const configured = callLimitsOf(config);
  let known: { readonly sealed: PolicyArtifact | undefined; readonly limits: CallLimits } = {
    sealed: undefined,
    limits: configured,
  };
  const narrowed = new WeakMap<SealedLimits, { readonly outer: CallLimits; readonly limits: CallLimits }>();
  return (call) => {
    const sealed = artifact.current()?.artifact;
    if (known.sealed !== sealed) known = { sealed, limits: limitsUnder(configured, sealed) };
    const { limits: outer } = known;
    const own = sessions.limitsOf(call);
    if (own === undefined) return outer;
    const before = narrowed.get(own);
    if (before?.outer === outer) return before.limits;
    const limits = narrowedBy(outer, own);
    narrowed.set(own, { outer, limits });
    return limits;
  };
}

function limitsUnder(configured: CallLimits, sealed: PolicyArtifact | undefined): CallLimits {
  if (sealed === undefined) return configured;
  return sealed.v > 1 ? sealedCallLimits(sealed.limits) : narrowedBy(configured, sealed.limits);
}
