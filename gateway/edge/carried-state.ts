/** The sealed state that a request carries, and what it is good for. */

import type { AgentRequest } from "./agent-request.ts";
import type { RoundScope, RoundState, RoundStates } from "./round-state.ts";
import type { Routed } from "./route-call.ts";

/** The state that the agent carries, if it carries one. Legacy revisions have none. */
export function openState(
  rounds: RoundStates,
  request: AgentRequest,
  routed: Pick<Routed, "route">,
): RoundState | "invalid" | undefined {
  const { requestState } = request.message.params;
  if (requestState === undefined || request.era === "legacy") return undefined;
  const scope = scopeOf(request, routed);
  return (typeof requestState === "string" ? rounds.open(requestState, scope) : undefined) ?? "invalid";
}

/** What a state of this request is sealed for. */
export function scopeOf({ caller, session, message }: AgentRequest, { route }: Pick<Routed, "route">): RoundScope {
  return {
    caller,
    session,
    serverId: route.serverId,
    method: message.method,
    name: route.name,
    params: message.params,
  };
}
