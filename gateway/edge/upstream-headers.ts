/** The headers that mirror a request toward a modern server. */

import { parseJson } from "../../kernel/json/parse.ts";
import { isJsonObject, type JsonObject } from "../../kernel/json/value.ts";
import type { InboundCall } from "../pipeline/call.ts";
import { encodeHeader, mirroredName, paramHeadersOf } from "../wire/mirrored-headers.ts";
import type { ParamHeader } from "../wire/param-headers.ts";
import type { AgentRequest } from "./agent-request.ts";

/** The mirrored headers of a modern leg, made anew from what is sent. */
export function upstreamHeaders(
  { message }: AgentRequest,
  { target, upstream, toSend }: InboundCall,
  mirrored: readonly ParamHeader[],
): Readonly<Record<string, string>> {
  if (upstream.era === "legacy" || upstream.transport === "stdio") return {};
  const hasName = mirroredName(message.method, message.params) !== undefined;
  const named = hasName
    ? { "Mcp-Method": message.method, "Mcp-Name": encodeHeader(target.name) }
    : { "Mcp-Method": message.method };
  return mirrored.length === 0 ? named : { ...named, ...paramHeadersOf(mirrored, paramsIn(toSend)) };
}

/** What is mirrored is what is sent: an obligation may have taken something out. */
function paramsIn(sent: Uint8Array): JsonObject {
  const message = parseJson(sent, { numbers: "rounded", maxBytes: Number.MAX_SAFE_INTEGER });
  return isJsonObject(message) && isJsonObject(message["params"]) ? message["params"] : {};
}
