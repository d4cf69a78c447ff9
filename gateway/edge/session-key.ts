/**
 * What a modern request says about its session, strongest word first. MCP 2026-07-28 has no sessions: what the agent or
 * its host says is recorded as no more than that; only a checked credential's claim counts as authenticated.
 */

import type { JsonObject, JsonValue } from "../../kernel/json/value.ts";
import type { Caller, SessionKey } from "../pipeline/call.ts";
import { metaOf } from "../wire/era.ts";
import { HOST_SESSION_KEYS } from "../wire/meta-keys.ts";

const TRACEPARENT = /^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?$/u;
const NO_TRACE = "0".repeat(32);
const MAX_KEY = 256;

/** The key of a modern request: of its credential, of its host, of its trace, else of the caller's idle window. */
export function modernSessionKey(
  params: JsonObject,
  traceparent: string | undefined,
  { facts }: Pick<Caller, "facts">,
): SessionKey {
  if (facts?.session !== undefined) return { key: facts.session, source: "token-claim", trust: "authenticated" };
  const meta = metaOf(params);
  for (const name of HOST_SESSION_KEYS) {
    const value = meta[name];
    if (typeof value === "string" && value !== "" && value.length <= MAX_KEY) {
      return { key: `${name}=${value}`, source: "host-key", trust: "host-asserted" };
    }
  }
  const trace = traceOf(params, traceparent);
  if (trace !== undefined) return { key: trace, source: "traceparent", trust: "inferred" };
  return { key: "", source: "idle-window", trust: "inferred" };
}

/**
 * The id of the trace that a request is part of: of the header, else of `_meta`.
 *
 * @param traceparent  the header
 */
export function traceOf(params: JsonObject, traceparent: string | undefined): string | undefined {
  const inBody = metaOf(params)["traceparent"];
  return traceId(traceparent) ?? traceId(inBody);
}

function traceId(traceparent: JsonValue | undefined): string | undefined {
  if (typeof traceparent !== "string") return undefined;
  const id = TRACEPARENT.exec(traceparent)?.[1];
  return id === NO_TRACE ? undefined : id;
}
