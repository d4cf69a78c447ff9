/** JSON-RPC errors that the gateway answers with (docs/gateway.md): code, HTTP status, reason, and never a word of the call. */

import { formatUtf8 } from "../../kernel/bytes.ts";
import type { JsonObject } from "../../kernel/json/value.ts";
import type { ReasonCode } from "../../kernel/receipt/reasons.ts";
import type { Era, Step } from "../../kernel/receipt/vocabulary.ts";
import { OUR_META } from "./meta-keys.ts";

/** JSON-RPC codes. */
export const RPC = {
  parse: -32700,
  invalidRequest: -32600,
  methodNotFound: -32601,
  invalidParams: -32602,
  internal: -32603,
  resourceNotFound: -32002,
  headerMismatch: -32020,
  missingCapability: -32021,
  unsupportedVersion: -32022,
  /** Of revision 2025-11-25 alone. */
  urlElicitation: -32042,
  denied: -31001,
  blocked: -31005,
  limit: -31006,
} as const;

/** A refusal by the wire: what the agent is told, and what the receipt says. */
export interface WireRefusal {
  readonly type: "refusal";
  readonly step: Step;
  readonly reason: ReasonCode;
  /** What the receipt says, where the agent is told less. */
  readonly recorded?: ReasonCode;
  readonly rpcCode: number;
  readonly httpStatus: number;
  readonly message: string;
  /** Beside `reason` and `receipt`. */
  readonly data?: JsonObject;
  /** Sent beside the body. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** Makes a refusal. */
export function refusal(
  step: Step,
  reason: ReasonCode,
  rpcCode: number,
  httpStatus: number,
  message: string,
  more: Pick<WireRefusal, "data" | "headers" | "recorded"> = {},
): WireRefusal {
  return { type: "refusal", step, reason, rpcCode, httpStatus, message, ...more };
}

/**
 * An error response.
 *
 * @param idText  the id as the agent spelled it; undefined if the document cannot be trusted
 */
export function errorResponse(idText: string | undefined, code: number, message: string, data: JsonObject): Uint8Array {
  const id = idText === undefined ? "" : `"id":${idText},`;
  return formatUtf8(`{"jsonrpc":"2.0",${id}"error":${errorText(code, message, data)}}`);
}

/** The JSON text of an error of the gateway's own. Its reason stands there a second time, under a key that no server's error has. */
export function errorText(code: number, message: string, data: JsonObject): string {
  const { reason } = data;
  const own = reason === undefined ? data : { ...data, [OUR_META.reason]: reason };
  return JSON.stringify({ code, message, data: own });
}

const BAD_REQUEST: ReadonlySet<number> = new Set([RPC.headerMismatch, RPC.missingCapability, RPC.unsupportedVersion]);

/**
 * HTTP status of an answer. SPEC MCP 2026-07-28: its own errors are 400, a method that is not there is 404. Legacy agents
 * take 404 for the end of their session.
 */
export function httpStatusOf(era: Era, rpcCode: number | undefined): number {
  if (era === "legacy" || rpcCode === undefined) return 200;
  if (rpcCode === RPC.methodNotFound) return 404;
  return BAD_REQUEST.has(rpcCode) ? 400 : 200;
}

/** A result response around the JSON text of its result. */
export function resultResponse(idText: string, result: string): Uint8Array {
  return formatUtf8(`{"jsonrpc":"2.0","id":${idText},"result":${result}}`);
}

const PARSE_REASONS: ReadonlySet<ReasonCode> = new Set(["json.bom", "json.utf8", "json.syntax"]);

/** The refusal of a document that the strict scan did not accept. */
export function scanRefusal(reason: ReasonCode): WireRefusal {
  const code = PARSE_REASONS.has(reason) ? RPC.parse : RPC.invalidRequest;
  const status = reason === "json.size" ? 413 : 400;
  return refusal("scan", reason, code, status, "the message is not JSON-RPC that has one meaning");
}
