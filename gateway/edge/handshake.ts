/** `initialize` of a legacy agent. */

import { isJsonObject } from "../../kernel/json/value.ts";
import { agreeRevision, type LegacyRevision } from "../wire/revisions.ts";
import type { RpcRequest } from "../wire/rpc.ts";
import { RPC, refusal, type WireRefusal } from "../wire/rpc-error.ts";

/** The revision that is agreed on, or why the request is refused. */
export function readInitialize({ params }: RpcRequest): LegacyRevision | WireRefusal {
  const { protocolVersion, capabilities, clientInfo } = params;
  if (typeof protocolVersion === "string" && isJsonObject(capabilities) && isJsonObject(clientInfo)) {
    return agreeRevision(protocolVersion);
  }
  const text = "want protocolVersion, capabilities and clientInfo";
  return refusal("classify", "rpc.shape", RPC.invalidParams, 200, text);
}
