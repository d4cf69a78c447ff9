/** What a server's reply means: the outcome that the receipt holds, and the bytes that the agent gets. */

import { isJsonObject, type JsonObject, type JsonValue } from "../../kernel/json/value.ts";
import type { ReasonCode } from "../../kernel/receipt/reasons.ts";
import type { Effect, Status } from "../../kernel/receipt/vocabulary.ts";
import type { CallOutcome } from "../pipeline/call.ts";
import type { UpstreamReply } from "../upstream/upstream.ts";
import { mediaText } from "../wire/media-text.ts";
import { RPC } from "../wire/rpc-error.ts";

/** The outcome without its time, and the answer. */
export interface Ended {
  readonly outcome: Omit<CallOutcome, "upstreamUs">;
  readonly bytes: Uint8Array;
}

type MakeError = (code: number, reason: ReasonCode, text: string) => Uint8Array;

const TEXTS: Readonly<Partial<Record<ReasonCode, string>>> = {
  "upstream.timeout": "the server did not answer in time",
  "upstream.closed": "the server went away during the call",
  "upstream.connect": "the server cannot be reached",
  "server.unavailable": "the server is not running",
  "client.cancelled": "the call was cancelled",
};

/**
 * @param passOn  makes the agent's response from the text of the server's
 * @param makeError  makes an error response of ours
 */
export function outcomeOf(reply: UpstreamReply, passOn: (text: string) => Uint8Array, makeError: MakeError): Ended {
  if (reply.type === "failed") {
    const bytes = makeError(
      RPC.internal,
      reply.reason,
      TEXTS[reply.reason] ?? "the server's answer cannot be passed on",
    );
    return refusedOutcome(reply.status, RPC.internal, reply.bytes, bytes, reply.effect);
  }
  const { error, result } = reply.body;
  if (isJsonObject(error)) return passed(reply, "rpc_error", passOn, rpcCodeOf(error));
  if (!isJsonObject(result)) return invalid(reply.bytes, "upstream.invalid", makeError);
  const { resultType } = result;
  if (resultType === "input_required") return invalid(reply.bytes, "upstream.undeclared-input", makeError);
  if (resultType !== undefined && resultType !== "complete") {
    return invalid(reply.bytes, "upstream.protocol", makeError);
  }
  return passed(reply, result["isError"] === true ? "tool_error" : "ok", passOn, undefined);
}

function passed(
  reply: Extract<UpstreamReply, { type: "answered" }>,
  status: Status,
  passOn: (text: string) => Uint8Array,
  rpcCode: number | undefined,
): Ended {
  const bytes = passOn(reply.text);
  const outcome: Ended["outcome"] = {
    status,
    // A server may answer with an error after it has acted.
    effect: rpcCode === undefined ? "done" : "unknown",
    received: reply.bytes,
    returned: bytes,
    uninspectedBytes: uninspectedBytes(reply.body["result"]),
  };
  return { bytes, outcome: rpcCode === undefined ? outcome : { ...outcome, rpcCode } };
}

/** The server answered something that we cannot pass on; it may have acted. */
function invalid(received: Uint8Array, reason: ReasonCode, makeError: MakeError): Ended {
  const bytes = makeError(RPC.internal, reason, "the server's answer cannot be passed on");
  return refusedOutcome("upstream_error", RPC.internal, received, bytes);
}

/** An answer of the server that does not go to the agent, or none at all: the agent gets an error of ours. */
export function refusedOutcome(
  status: Status,
  rpcCode: number,
  received: Uint8Array | undefined,
  bytes: Uint8Array,
  effect: Effect = "unknown",
): Ended {
  const known = received === undefined ? {} : { received };
  return { bytes, outcome: { status, effect, rpcCode, ...known, returned: bytes, uninspectedBytes: 0 } };
}

/** A code outside the 32 bits of a receipt is kept as an internal error. */
function rpcCodeOf(error: JsonObject): number {
  const { code } = error;
  return typeof code === "number" && (code | 0) === code ? code : RPC.internal;
}

/** Bytes of images, audio and blobs in a result: base64 members `data` and `blob` of content, messages and contents. */
export function uninspectedBytes(value: JsonValue | undefined): number {
  if (typeof value !== "object" || value === null) return 0;
  if (!isJsonObject(value)) {
    let sum = 0;
    for (const item of value) sum += uninspectedBytes(item);
    return sum;
  }
  const { data, blob, type, content, contents, messages, resource } = value;
  const isMedia = type === "image" || type === "audio";
  const own = base64Bytes(isMedia ? data : undefined) + base64Bytes(blob);
  const inParts = uninspectedBytes(content) + uninspectedBytes(contents) + uninspectedBytes(messages);
  return own + inParts + uninspectedBytes(resource);
}

/** Text that stands there is read. */
function base64Bytes(value: JsonValue | undefined): number {
  if (typeof value !== "string" || mediaText(value) !== undefined) return 0;
  const padding = value.endsWith("==") ? 2 : value.endsWith("=") ? 1 : 0;
  return Math.max(0, Math.floor((value.length * 3) / 4) - padding);
}
