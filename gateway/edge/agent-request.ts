/** One request of an agent, and its answer, whatever the transport. */

import { isJsonObject, type JsonObject, type JsonValue } from "../../kernel/json/value.ts";
import type { Era, Revision, Transport } from "../../kernel/receipt/vocabulary.ts";
import type { Caller, ReceiptRef, SessionKey, WireFacts } from "../pipeline/call.ts";
import type { CancelSignal } from "../upstream/cancellation.ts";
import { META } from "../wire/meta-keys.ts";
import type { Headers } from "../wire/mirrored-headers.ts";
import { mirroredName } from "../wire/mirrored-headers.ts";
import type { RpcRequest } from "../wire/rpc.ts";
import { rawAt } from "../wire/spans.ts";
import type { AgentLegs } from "./agent-legs.ts";
import type { Mount } from "./mount.ts";
import { traceOf } from "./session-key.ts";

/** Client capabilities, and the text in which the agent declared them. */
export interface AgentCapabilities {
  readonly value: JsonObject;
  readonly text: string;
}

/** What a session may declare at its handshake: it is kept for as long as the session is. Hosts declare some hundreds of bytes. */
export const MAX_DECLARED_BYTES: number = 16 * 1024;

/** Declares nothing. */
export const NO_CAPABILITIES: AgentCapabilities = { value: {}, text: "{}" };

/** The object at a path of a message, as capabilities; none if there is none. */
function capabilitiesAt({ text, value }: RpcRequest, path: readonly string[]): AgentCapabilities {
  let found: JsonValue | undefined = value;
  for (const key of path) found = isJsonObject(found) ? found[key] : undefined;
  return isJsonObject(found) ? { value: found, text: rawAt(text, path) ?? "{}" } : NO_CAPABILITIES;
}

/** What a modern request declares. */
export function declaredIn(message: RpcRequest): AgentCapabilities {
  return capabilitiesAt(message, DECLARED);
}

/** What the first message of a legacy session declares. */
export function declaredAtHandshake(message: RpcRequest): AgentCapabilities {
  return capabilitiesAt(message, DECLARED_AT_HANDSHAKE);
}

const DECLARED = ["params", "_meta", META.clientCapabilities];
const DECLARED_AT_HANDSHAKE = ["params", "capabilities"];

/** A request that was authenticated, scanned, and given an era and a session. */
export interface AgentRequest {
  readonly message: RpcRequest;
  readonly received: Uint8Array;
  /** The id as the agent spelled it. */
  readonly idText: string;
  readonly transport: Transport;
  readonly era: Era;
  readonly revision: Revision;
  readonly caller: Caller;
  readonly session: SessionKey;
  readonly mount: Mount;
  /** What the agent declared: with this request, or at its handshake. */
  readonly capabilities: AgentCapabilities;
  /** The agent's own sessions at legacy servers, if it has a session that could hold them. */
  readonly legs: AgentLegs | undefined;
  /** Undefined on stdio. */
  readonly headers: Headers | undefined;
  /** Aborted when the agent cancels the request or, where that counts, goes away. */
  readonly signal: CancelSignal;
  /** Calls back when the answer has left the process, or nobody takes it any more; undefined if that is not known. */
  readonly untilWritten: ((done: () => void) => void) | undefined;
  /** Sends a notification in front of the answer; undefined if the agent takes none. */
  readonly notify: ((notification: Uint8Array) => void) | undefined;
}

/** What the agent is answered. */
export interface AgentAnswer {
  readonly httpStatus: number;
  readonly bytes: Uint8Array;
  readonly receipt?: ReceiptRef;
  readonly headers?: Readonly<Record<string, string>>;
}

/** How a request comes over HTTP, whoever carries it. */
export type HttpMessage = Pick<AgentRequest, "caller" | "mount"> & {
  readonly headers: Headers;
  readonly body: Uint8Array;
};

/** What the rest of a request depends on. */
export type HttpLeg = Pick<
  AgentRequest,
  "era" | "revision" | "session" | "signal" | "capabilities" | "legs" | "untilWritten" | "notify"
>;

/** A request over HTTP. */
export function httpRequest(
  { body, caller, mount, headers }: HttpMessage,
  message: RpcRequest,
  { era, revision, session, signal, capabilities, legs, untilWritten, notify }: HttpLeg,
): AgentRequest {
  return {
    message,
    received: body,
    idText: idTextOf(message),
    transport: "http",
    era,
    revision,
    caller,
    session,
    mount,
    capabilities,
    legs,
    headers,
    signal,
    untilWritten,
    notify,
  };
}

/** The id as its sender spelled it. */
export function idTextOf(message: RpcRequest): string {
  return rawAt(message.text, ["id"]) ?? JSON.stringify(message.id);
}

/** The agent's leg, for receipts. */
export function wireFacts(request: AgentRequest): WireFacts {
  const { transport, era, revision, message, headers } = request;
  const { method, params, id } = message;
  const name = mirroredName(method, params);
  const trace = traceOf(params, headers?.["traceparent"]) ?? null;
  if (name === undefined) return { transport, era, revision, method, id, trace };
  return { transport, era, revision, method, id, trace, name };
}

/** `<stream>/<seq>`. */
export function formatReceiptRef({ stream, seq }: ReceiptRef): string {
  return `${stream}/${seq}`;
}
