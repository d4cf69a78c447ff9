/** JSON-RPC 2.0 as MCP restricts it: what kind of message a scanned document is. */

import { isJsonObject, type JsonObject } from "../../kernel/json/value.ts";
import type { ReasonCode } from "../../kernel/receipt/reasons.ts";
import { type ScanFault, type Scanned, type Scope, scanJson } from "./scan.ts";

/** An id, its JSON type kept: `1` is not `"1"`. */
export type RpcId = string | number;

interface Located {
  /** The text that the offsets of tokens refer to. */
  readonly text: string;
  readonly value: JsonObject;
}

/** A request. */
export interface RpcRequest extends Located {
  readonly type: "request";
  readonly id: RpcId;
  readonly method: string;
  readonly params: JsonObject;
}

/** A notification. */
export interface RpcNotification extends Located {
  readonly type: "notification";
  readonly method: string;
  readonly params: JsonObject;
}

/** A response; the id of an error may be null, if its sender could not read one. */
export interface RpcResponse extends Located {
  readonly type: "response";
  readonly id: RpcId | null;
}

/** One message. */
export type RpcMessage = RpcRequest | RpcNotification | RpcResponse;

/** Scans and reads one message. */
export function readMessage(bytes: Uint8Array, scope: Scope, maxBytes: number): RpcMessage | ScanFault {
  const scanned = scanJson(bytes, scope, maxBytes);
  return scanned.type === "fault" ? scanned : classifyMessage(scanned);
}

/** Tells requests, notifications and responses apart. */
export function classifyMessage(scanned: Scanned): RpcMessage | ScanFault {
  const { value } = scanned;
  if (value["jsonrpc"] !== "2.0") return fault("rpc.version");
  const isResponse = value["result"] !== undefined || value["error"] !== undefined;
  const { id } = value;
  if (id !== undefined && !isRpcId(id) && !(id === null && value["error"] !== undefined)) return fault("rpc.id");
  if (isResponse) return readResponse(scanned);
  return readCall(scanned);
}

function readResponse({ text, value }: Scanned): RpcMessage | ScanFault {
  const { id = null, result, error, method } = value;
  const isOne = (result === undefined) !== (error === undefined) && method === undefined;
  if (!isOne || !isJsonObject(result ?? error)) return fault("rpc.shape");
  if (!isRpcId(id) && (id !== null || error === undefined)) return fault("rpc.id");
  return { type: "response", text, value, id };
}

function readCall({ text, value }: Scanned): RpcMessage | ScanFault {
  const { id, method, params = EMPTY } = value;
  if (typeof method !== "string" || method === "" || !isJsonObject(params)) return fault("rpc.shape");
  // Arguments that are an array or a text would be empty for policy, and whole for the server.
  const { arguments: given = EMPTY, _meta: meta = EMPTY } = params;
  if (!isJsonObject(given) || !isJsonObject(meta)) return fault("rpc.shape");
  if (id === undefined) return { type: "notification", text, value, method, params };
  return isRpcId(id) ? { type: "request", text, value, id, method, params } : fault("rpc.id");
}

const EMPTY: JsonObject = {};

function isRpcId(value: unknown): value is RpcId {
  return typeof value === "string" || (typeof value === "number" && Number.isInteger(value));
}

function fault(reason: ReasonCode): ScanFault {
  return { type: "fault", reason };
}
