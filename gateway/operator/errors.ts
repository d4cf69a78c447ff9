/** The one table from faults to HTTP on the operator listener: `{"error": {"code", "message"}}`. */

import type { FastifyError, FastifyReply } from "fastify";
import type { ErrorCode } from "../../kernel/error-codes.ts";
import { CheckError, FormatError, isCodedError } from "../../kernel/errors.ts";

/** Codes whose status is not that of their class (FormatError 400, CheckError 403, else 500). */
const STATUS: Partial<Record<ErrorCode, number>> = {
  ERR_TOKEN: 401,
  ERR_NOT_FOUND: 404,
  ERR_APPROVAL_STATE: 409,
  ERR_CONTROL_FULL: 409,
  ERR_QUARANTINE: 409,
  ERR_BODY_SIZE: 413,
  ERR_CONTENT_TYPE: 415,
  ERR_OUTBOX_FULL: 503,
  ERR_STREAM_FAILED: 503,
  ERR_CATALOG_VERSION: 409,
  ERR_CATALOG_PREVIOUS: 409,
  ERR_MANDATE_LIST: 409,
};

/** An error as the client sees it. */
export interface HttpFault {
  readonly status: number;
  readonly code: ErrorCode;
  readonly message: string;
}

/** Status, code and message of anything thrown. What is not ours to tell becomes 500 without its text. */
export function faultOf(error: unknown): HttpFault {
  if (isCodedError(error)) {
    const status = STATUS[error.code] ?? defaultStatus(error);
    return { status, code: error.code, message: status === 500 ? "internal fault" : error.message };
  }
  return fastifyFault(error) ?? { status: 500, code: "ERR_BUG", message: "internal fault" };
}

/** Answers with a fault. */
export function sendFault(reply: FastifyReply, { status, code, message }: HttpFault): FastifyReply {
  if (status === 401) reply.header("www-authenticate", "Bearer");
  return reply.code(status).header("cache-control", "no-store").send({ error: { code, message } });
}

function defaultStatus(error: unknown): number {
  if (error instanceof FormatError) return 400;
  return error instanceof CheckError ? 403 : 500;
}

/** What fastify itself refuses: size and type of a body, bytes that are not HTTP. */
function fastifyFault(error: unknown): HttpFault | undefined {
  if (!isFastifyError(error)) return undefined;
  if (error.statusCode === 413) return { status: 413, code: "ERR_BODY_SIZE", message: "this route takes no body" };
  if (error.statusCode === 415) return { status: 415, code: "ERR_CONTENT_TYPE", message: "this route takes no body" };
  if (error.statusCode === undefined || error.statusCode >= 500) return undefined;
  return { status: error.statusCode, code: "ERR_REQUEST", message: "the request cannot be read" };
}

function isFastifyError(error: unknown): error is FastifyError {
  return error instanceof Error && "code" in error && typeof error.code === "string" && error.code.startsWith("FST_");
}
