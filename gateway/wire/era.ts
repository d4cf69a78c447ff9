/**
 * Which era a message from an agent belongs to, body first: malformed claim, claim against header, supported version,
 * missing headers, headers against body, those of a legacy message that has some as well. A malformed claim never falls back to legacy.
 */

import { isJsonObject, type JsonObject, type JsonValue } from "../../kernel/json/value.ts";
import type { Revision } from "../../kernel/receipt/vocabulary.ts";
import { META } from "./meta-keys.ts";
import { checkMirrored, checkPresent, type Headers } from "./mirrored-headers.ts";
import { MODERN_REVISION, MODERN_REVISIONS, revisionNamed } from "./revisions.ts";
import type { RpcNotification, RpcRequest } from "./rpc.ts";
import { RPC, refusal, type WireRefusal } from "./rpc-error.ts";

/** The era of a message; a legacy one needs a session, whose revision counts. */
export type EraOf =
  | { readonly type: "modern"; readonly revision: Revision }
  | { readonly type: "legacy" }
  | WireRefusal;

/**
 * @param headers  undefined on stdio, where nothing is mirrored
 */
export function eraOf(message: RpcRequest | RpcNotification, headers: Headers | undefined): EraOf {
  const era = claimedEra(message, headers);
  const isChecked = era.type === "refusal" || (era.type === "modern" && message.type === "request");
  if (isChecked || headers === undefined) return era;
  return checkPresent(headers, message.method, message.params) ?? era;
}

function claimedEra(message: RpcRequest | RpcNotification, headers: Headers | undefined): EraOf {
  const claim = metaOf(message.params)[META.protocolVersion];
  if (claim === undefined && message.method === "initialize") return { type: "legacy" };
  const header = headers?.["mcp-protocol-version"];
  if (claim === undefined) return unclaimed(message, header);
  if (typeof claim !== "string") return malformed(META.protocolVersion);
  if (header !== undefined && header !== claim) {
    return refusal(
      "classify",
      "http.header-mismatch",
      RPC.headerMismatch,
      400,
      "MCP-Protocol-Version is not the version in the body",
    );
  }
  const known = revisionNamed(claim);
  if (known === undefined) return unsupported(claim);
  if (known.era === "legacy") return { type: "legacy" };
  return modern(message, headers, known.revision);
}

function unclaimed(message: RpcRequest | RpcNotification, header: string | undefined): EraOf {
  if (header === undefined) return { type: "legacy" };
  const known = revisionNamed(header);
  if (known === undefined) return unsupported(header);
  if (known.era === "legacy") return { type: "legacy" };
  return message.type === "notification"
    ? { type: "modern", revision: known.revision }
    : malformed(META.protocolVersion);
}

function modern(message: RpcRequest | RpcNotification, headers: Headers | undefined, revision: Revision): EraOf {
  if (message.type === "notification") return { type: "modern", revision };
  if (!isJsonObject(metaOf(message.params)[META.clientCapabilities])) return malformed(META.clientCapabilities);
  if (headers !== undefined && headers["mcp-protocol-version"] === undefined) {
    const text = "the header MCP-Protocol-Version is missing";
    return refusal("classify", "http.header-missing", RPC.headerMismatch, 400, text);
  }
  const fault = headers === undefined ? undefined : checkMirrored(headers, message.method, message.params);
  return fault ?? { type: "modern", revision };
}

/** `_meta` of params, or an empty object. */
export function metaOf(params: JsonObject): JsonObject {
  const meta: JsonValue | undefined = params["_meta"];
  return isJsonObject(meta) ? meta : {};
}

function malformed(key: string): WireRefusal {
  return refusal("classify", "mcp.claim-malformed", RPC.invalidParams, 400, `_meta["${key}"] is missing or malformed`);
}

function unsupported(requested: string): WireRefusal {
  const data = { supported: MODERN_REVISIONS, requested: requested.slice(0, 64) };
  const text = `this protocol version is not served; ${MODERN_REVISION} is`;
  return refusal("classify", "mcp.version-unsupported", RPC.unsupportedVersion, 400, text, { data });
}
