/** Refuses a request that says of itself in `_meta` to be somebody else than its credential names: of every method, handshakes included. */

import { readRequestClaims } from "../identity/request-claims.ts";
import type { Caller } from "../pipeline/call.ts";
import { metaOf } from "../wire/era.ts";
import type { RpcRequest } from "../wire/rpc.ts";
import { RPC, refusal, type WireRefusal } from "../wire/rpc-error.ts";
import type { EdgeOptions } from "./edge-options.ts";

/** @returns undefined if it says nothing that differs */
export function claimConflict(
  { claims: members }: Pick<EdgeOptions, "claims">,
  { params }: Pick<RpcRequest, "params">,
  caller: Caller,
): WireRefusal | undefined {
  if (readRequestClaims(metaOf(params), caller, members).type !== "conflict") return undefined;
  const text = "who the request says to be, or to act for, is not whom its credential names";
  return refusal("identity", "identity.conflict", RPC.invalidParams, 200, text);
}
