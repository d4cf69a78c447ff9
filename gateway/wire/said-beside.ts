/**
 * What a request says to its server beside what its method is about: members of params and of `_meta` that nothing of the gateway
 * reads, and that go out in the bytes that came. They are looked at as everything else is that leaves.
 */

import { isJsonObject, type JsonObject, type JsonValue } from "../../kernel/json/value.ts";
import type { InboundCall } from "../pipeline/call.ts";
import { META, OUR_META } from "./meta-keys.ts";

/** Of requests of an agent that go to a server. */
const SENT: ReadonlySet<InboundCall["target"]["kind"]> = new Set([
  "tool",
  "prompt",
  "resource",
  "completion",
  "subscribe",
  "task",
  "extension",
]);

/** True if what the agent says goes to a server. */
export function isSent({ target, isAnsweredHere, isUnasked }: InboundCall): boolean {
  return SENT.has(target.kind) && isAnsweredHere !== true && isUnasked !== true;
}

/**
 * The members of params of a request that goes to a server; undefined if there are none.
 *
 * @param read  those that the caller reads itself
 */
export function saidInParams(call: InboundCall, read: ReadonlySet<string>): JsonObject | undefined {
  const { params } = call;
  if (!isSent(call)) return undefined;
  const said = Object.keys(params).filter((key) => !read.has(key) && key !== "_meta" && !isGateways(key, call));
  if (said.length === 0) return undefined;
  const members = said.flatMap((key): [string, JsonValue | undefined][] => {
    const value = key === "ref" ? besideRef(params[key]) : params[key];
    return value === undefined ? [] : [[key, value]];
  });
  return members.length === 0 ? undefined : Object.fromEntries(members);
}

/** A name of the catalog, or a text that the gateway puts another in the place of. */
function isGateways(key: string, { target: { kind }, wire }: InboundCall): boolean {
  if (key === "name") return kind === "tool" || kind === "prompt";
  if (key === "taskId") return kind === "task";
  // Of what is listened to, what is asked of the server is a message of the gateway's.
  if (key === "notifications") return wire.method === "subscriptions/listen";
  return key === "requestState" && kind !== "task";
}

/** Which prompt or resource a completion is about is its target. */
function besideRef(ref: JsonValue | undefined): JsonValue | undefined {
  if (!isJsonObject(ref)) return ref;
  const more = Object.keys(ref).filter((key) => key !== "type" && key !== "name" && key !== "uri");
  return more.length === 0 ? undefined : Object.fromEntries(more.map((key) => [key, ref[key]]));
}

const TRACEPARENT = /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/u;
/** As programs name their versions. Four numbers would be taken for an address. */
const PLAIN_VERSION = /^v?\d{1,5}(?:\.\d{1,5}){0,3}(?:[-+.][\w.]{1,16})?$/u;

/** What of `_meta` is the agent's word, whatever prefix it has; undefined if nothing is. */
export function saidInMeta(meta: JsonValue | undefined): JsonObject | undefined {
  if (!isJsonObject(meta)) return undefined;
  const said = Object.keys(meta).filter((key) => isSaid(key, meta[key]));
  if (said.length === 0) return undefined;
  return Object.fromEntries(said.map((key) => [key, key === META.clientInfo ? withoutVersion(meta[key]) : meta[key]]));
}

function isSaid(key: string, value: JsonValue | undefined): boolean {
  switch (key) {
    // The gateway's own on every leg, or for the gateway alone.
    case META.protocolVersion:
    case "progressToken":
    case OUR_META.mandates:
    case OUR_META.workflow:
      return false;
    case META.clientCapabilities:
      return !isJsonObject(value) || Object.keys(value).length > 0;
    case "traceparent":
      return typeof value !== "string" || !TRACEPARENT.test(value);
    default:
      return true;
  }
}

function withoutVersion(info: JsonValue | undefined): JsonValue | undefined {
  if (!isJsonObject(info)) return info;
  const { version, ...more } = info;
  return typeof version === "string" && PLAIN_VERSION.test(version) ? more : info;
}
