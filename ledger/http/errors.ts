/**
 * The one table from faults to HTTP. Every error body is `{"error": {"code", "message", ...}}`; messages name field,
 * want and got, never a secret and never a whole input.
 */

import type { FastifyReply } from "fastify";
import type { ErrorCode } from "../../kernel/error-codes.ts";
import { CheckError, FormatError, isCodedError } from "../../kernel/errors.ts";
import type { JsonObject } from "../../kernel/json/value.ts";
import { LATER_STATUS } from "../../kernel/service/later-codes.ts";
import { Refusal } from "../admission/refusal.ts";

/** Seconds that a client is asked to wait after 429 and 503. */
const RETRY_AFTER_SECONDS = 1;

/** Codes whose status is not that of their class (FormatError 400, CheckError 403, else 500). */
const STATUS: Partial<Record<ErrorCode, number>> = {
  ERR_TOKEN: 401,
  ERR_ENTRY_UNKNOWN: 404,
  ERR_LOG_KIND: 404,
  ERR_NOT_FOUND: 404,
  ERR_NOT_PUBLISHED: 404,
  ERR_SCITT_OFF: 404,
  ERR_TILE_PATH: 404,
  ERR_LOG_UNWITNESSED: 409,
  ERR_REGISTRATION_CONFLICT: 409,
  ERR_ROTATION_ORDER: 409,
  ERR_STREAM_CLOSED: 409,
  ERR_STREAM_ENDED: 410,
  ERR_STREAM_FORK: 409,
  ERR_STREAM_GAP: 409,
  ERR_STREAM_PREV: 409,
  ERR_TRUST_RECORD_CONFLICT: 409,
  ERR_LOG_CLOSED: 410,
  ERR_PRUNED: 410,
  ERR_BODY_SIZE: 413,
  ERR_CONTENT_TYPE: 415,
  ...LATER_STATUS,
};

/** An error as the client sees it. */
export interface HttpFault {
  readonly status: number;
  readonly code: ErrorCode;
  readonly message: string;
  readonly details: JsonObject;
}

/** Status, code and message of anything thrown. What is not ours to tell becomes 500 without its text. */
export function faultOf(error: unknown): HttpFault {
  if (error instanceof Refusal) return { ...faultOf(error.error), details: error.details };
  if (isCodedError(error)) {
    const status = STATUS[error.code] ?? defaultStatus(error);
    const message = status === 500 ? "internal fault" : error.message;
    return { status, code: error.code, message, details: {} };
  }
  return fastifyFault(error) ?? { status: 500, code: "ERR_BUG", message: "internal fault", details: {} };
}

/** Headers and body of a fault's answer. */
export function formatFault({ status, code, message, details }: HttpFault): {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
} {
  const headers: Record<string, string> = {
    "cache-control": "no-store",
    "content-type": "application/json; charset=utf-8",
  };
  if (status === 429 || status === 503) headers["retry-after"] = retryAfter(details);
  if (status === 401) headers["www-authenticate"] = "Bearer";
  return { headers, body: JSON.stringify({ error: { code, message, ...details } }) };
}

/** Answers with a fault. */
export function sendFault(reply: FastifyReply, fault: HttpFault): FastifyReply {
  const { headers, body } = formatFault(fault);
  return reply
    .code(fault.status)
    .headers(headers)
    .serializer((text: unknown) => String(text))
    .send(body);
}

/** Some refusals know better than the constant. */
function retryAfter({ retry_after_seconds: seconds }: JsonObject): string {
  return String(typeof seconds === "number" ? seconds : RETRY_AFTER_SECONDS);
}

function defaultStatus(error: unknown): number {
  if (error instanceof FormatError) return 400;
  return error instanceof CheckError ? 403 : 500;
}

/** What fastify itself refuses: size and type of a body, paths that are none, a body whose sender went away. */
function fastifyFault(error: unknown): HttpFault | undefined {
  if (!isFastifyError(error)) return undefined;
  if (error.statusCode === 413) {
    return { status: 413, code: "ERR_BODY_SIZE", message: "the body is above the limit of this route", details: {} };
  }
  if (error.statusCode === 415) {
    return { status: 415, code: "ERR_CONTENT_TYPE", message: "this route takes another content type", details: {} };
  }
  if (error.statusCode < 400 || error.statusCode >= 500) return undefined;
  return { status: error.statusCode, code: "ERR_REQUEST", message: "the request cannot be read", details: {} };
}

function isFastifyError(error: unknown): error is Error & { readonly statusCode: number } {
  return error instanceof Error && "statusCode" in error && typeof error.statusCode === "number";
}
