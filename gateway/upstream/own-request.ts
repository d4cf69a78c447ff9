/** Requests that the gateway makes itself toward a server: discovery, handshake, lists. */

import { formatUtf8 } from "../../kernel/bytes.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../../kernel/json/value.ts";
import type { Era } from "../../kernel/receipt/vocabulary.ts";
import { META, TASKS_EXTENSION } from "../wire/meta-keys.ts";
import { encodeHeader } from "../wire/mirrored-headers.ts";
import { oneLine } from "../wire/one-line.ts";
import { LEGACY_REVISIONS, MODERN_REVISION } from "../wire/revisions.ts";
import type { CancelSignal } from "./cancellation.ts";
import {
  CHANGED_LISTS,
  type ChangedList,
  type LegAgent,
  type UpstreamDeps,
  type UpstreamReply,
  type UpstreamRequest,
} from "./upstream.ts";

type Software = UpstreamDeps["software"];

/**
 * A request of our own in the server's era. Toward agents' servers we declare no capabilities, since we carry none back: but for
 * what a request is about.
 */
export function ownRequest(
  id: number,
  method: string,
  params: JsonObject,
  era: Era,
  software: Software,
  capabilities: JsonObject = {},
): UpstreamRequest {
  const meta = {
    [META.protocolVersion]: MODERN_REVISION,
    [META.clientCapabilities]: capabilities,
    [META.clientInfo]: software,
  };
  const whole = era === "modern" ? { ...params, _meta: meta } : params;
  return {
    id,
    method,
    headers: era === "modern" ? { "Mcp-Method": method } : {},
    bytes: formatUtf8(JSON.stringify({ jsonrpc: "2.0", id, method, params: whole })),
    signal: new AbortController().signal,
  };
}

/** The least level of log messages in a session at a legacy server. */
export function levelRequest(id: number, level: JsonValue, signal: CancelSignal): UpstreamRequest {
  const method = "logging/setLevel";
  const bytes = formatUtf8(JSON.stringify({ jsonrpc: "2.0", id, method, params: { level } }));
  return { id, method, headers: {}, bytes, signal };
}

/** Ends a subscription in a session at a legacy server. */
export function unsubscribeRequest(id: number, uri: string, signal: CancelSignal): UpstreamRequest {
  const method = "resources/unsubscribe";
  const bytes = formatUtf8(JSON.stringify({ jsonrpc: "2.0", id, method, params: { uri } }));
  return { id, method, headers: {}, bytes, signal };
}

/** The subscription to one resource at a modern server. */
export function listenMessage(id: number, uri: string, software: Software): UpstreamRequest {
  return ownRequest(id, LISTEN, { notifications: { resourceSubscriptions: [uri] } }, "modern", software);
}

const TAKES_TASKS: JsonObject = { extensions: { [TASKS_EXTENSION]: {} } };

/** The subscription to the status of one task at a modern server. */
export function taskListenMessage(id: number, taskId: string, software: Software): UpstreamRequest {
  return ownRequest(id, LISTEN, { notifications: { taskIds: [taskId] } }, "modern", software, TAKES_TASKS);
}

/** Asks a modern server where a task is. */
export function taskStateRequest(id: number, taskId: string, software: Software): UpstreamRequest {
  const request = ownRequest(id, "tasks/get", { taskId }, "modern", software, TAKES_TASKS);
  return { ...request, headers: { ...request.headers, "Mcp-Name": encodeHeader(taskId) } };
}

/** The subscription to those lists whose changes the server says that it announces; undefined if there are none. */
export function listenToLists(
  nextId: () => number,
  capabilities: JsonObject,
  software: Software,
): UpstreamRequest | undefined {
  const announced = CHANGED_LISTS.filter((list) => announces(capabilities, list));
  if (announced.length === 0) return undefined;
  const notifications = Object.fromEntries(announced.map((list) => [`${list}ListChanged`, true]));
  return { ...ownRequest(nextId(), LISTEN, { notifications }, "modern", software), isOpenEnded: true };
}

const LISTEN = "subscriptions/listen";

/** True if these capabilities of a server say that it tells of changes of the list. */
export function announces(capabilities: JsonValue, list: ChangedList): boolean {
  const offered = isJsonObject(capabilities) ? capabilities[list] : undefined;
  return isJsonObject(offered) && offered["listChanged"] === true;
}

/** The probe for the modern era. */
export function discoverRequest(id: number, software: Software): UpstreamRequest {
  return ownRequest(id, "server/discover", {}, "modern", software);
}

const OWN: Pick<LegAgent, "revision" | "capabilities"> = { revision: LEGACY_REVISIONS[0], capabilities: "{}" };

/**
 * The legacy handshake's first message.
 *
 * @param agent  what the agent of this session speaks and declared; without one the gateway's own newest, and nothing
 */
export function initializeRequest(
  id: number,
  software: Software,
  agent: Pick<LegAgent, "revision" | "capabilities"> = OWN,
): UpstreamRequest {
  const { revision, capabilities } = agent;
  const params = { protocolVersion: revision, capabilities: {}, clientInfo: { ...software } };
  const request = ownRequest(id, "initialize", params, "legacy", software);
  const text = new TextDecoder().decode(request.bytes);
  // In the agent's words, which may go over a channel of lines.
  const declared = `"capabilities":${oneLine(capabilities)}`;
  return { ...request, bytes: formatUtf8(text.replace('"capabilities":{}', () => declared)) };
}

/** The legacy handshake's last message. */
export const INITIALIZED: Uint8Array = formatUtf8('{"jsonrpc":"2.0","method":"notifications/initialized"}');

/** Tells a server that the roots of its agent are others now: in our words, since nobody decides what the agent's own would carry. */
export const ROOTS_CHANGED: Uint8Array = formatUtf8('{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}');

/** Tells a server that nobody waits for a request any more. */
export function cancelledNotification(id: number): Uint8Array {
  return formatUtf8(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":${id}}}`);
}

/** The refusal of a request that a server made. */
export function refusedRequest(idText: string): Uint8Array {
  const error = {
    code: -32601,
    message: "the gateway does not carry this request",
    data: { reason: "bridge.unsupported" },
  };
  return formatUtf8(`{"jsonrpc":"2.0","id":${idText},"error":${JSON.stringify(error)}}`);
}

/** The result of a reply; undefined if it failed or is an error. */
export function resultOf(reply: UpstreamReply): JsonObject | undefined {
  if (reply.type !== "answered") return undefined;
  const { result } = reply.body;
  return isJsonObject(result) ? result : undefined;
}
