/** `initialize` of a legacy agent. */

import { formatUtf8 } from "../../kernel/bytes.ts";
import { isJsonObject } from "../../kernel/json/value.ts";
import { agreeRevision, type LegacyRevision } from "../wire/revisions.ts";
import type { RpcRequest } from "../wire/rpc.ts";
import { RPC, refusal, type WireRefusal } from "../wire/rpc-error.ts";
import { type AgentCapabilities, declaredAtHandshake, MAX_DECLARED_BYTES } from "./agent-request.ts";

/** What a session begins with. */
export interface Handshake {
  readonly type: "handshake";
  readonly revision: LegacyRevision;
  readonly capabilities: AgentCapabilities;
}

/** The revision that is agreed on and what the agent declares, or why the request is refused. */
export function readInitialize(message: RpcRequest): Handshake | WireRefusal {
  const { protocolVersion, capabilities, clientInfo } = message.params;
  if (typeof protocolVersion !== "string" || !isJsonObject(capabilities) || !isJsonObject(clientInfo)) {
    const text = "want protocolVersion, capabilities and clientInfo";
    return refusal("classify", "rpc.shape", RPC.invalidParams, 200, text);
  }
  const declared = declaredAtHandshake(message);
  if (formatUtf8(declared.text).length > MAX_DECLARED_BYTES) {
    const text = `want params.capabilities of at most ${MAX_DECLARED_BYTES} bytes`;
    return refusal("classify", "json.size", RPC.invalidParams, 200, text);
  }
  return { type: "handshake", revision: agreeRevision(protocolVersion), capabilities: declared };
}
