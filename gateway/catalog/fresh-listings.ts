/**
 * The stages that keep calls from resting on old listings: before a call the server's definitions are listed again if they
 * were last listed too long ago or a change is announced, and behind an answer that refuses params they are doubted.
 */

import type { RequestStage, ResponseStage, Stages, TurnLook } from "../pipeline/stage.ts";
import type { CatalogSource } from "./catalog-keeper.ts";
import type { Relister } from "./relisting.ts";

const RPC_INVALID_PARAMS = -32_602;
const RPC_QUARANTINED = -31_003;

/** The controls of a run with these stages in front: what they find out, the others look at. */
export function withFreshListings(
  stages: Stages,
  relister: Relister,
  keeper: CatalogSource,
  nowMs: () => number,
): Stages {
  const request: RequestStage = {
    name: "fresh-listing",
    begin: (call) => {
      const arrivedMs = nowMs();
      const look = lookAt(relister, keeper, arrivedMs);
      return relister.freshen(call.serverId)?.then(() => look) ?? look;
    },
  };
  const response: ResponseStage = {
    name: "doubted-listing",
    end: ({ call, outcome }) => {
      // Of a task it says that there is none, which no definition knows.
      const isDoubt = outcome.status === "rpc_error" && outcome.rpcCode === RPC_INVALID_PARAMS;
      if (isDoubt && call.target.kind !== "task") relister.paramsRefused(call.serverId);
      return { outcome };
    },
  };
  return { ...stages, request: [request, ...stages.request], response: [response, ...stages.response] };
}

function lookAt(relister: Relister, keeper: CatalogSource, arrivedMs: number): TurnLook {
  return ({ call: { serverId }, finding, nowMs }) => {
    const ageMs = nowMs - (keeper.listedAtMs(serverId) ?? nowMs);
    const isUnchecked = finding.definition !== undefined && !keeper.isAnswered(serverId);
    const pinAge = Math.max(0, Math.floor(ageMs / 1000));
    const system = isUnchecked ? { pinAge, definition: "unchecked" } : { pinAge };
    if (finding.definition === undefined || !relister.isStale(serverId, arrivedMs)) return { system };
    const denial = {
      step: "catalog",
      reason: "pin.stale",
      rpcCode: RPC_QUARANTINED,
      message: "The definitions of this server could not be compared with the approved ones in time.",
    } as const;
    return { system, denials: [denial] };
  };
}
