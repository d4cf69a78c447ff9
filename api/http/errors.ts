/** The one table from faults to HTTP, for all routes. Bodies are `{"error": …}`, or `{"errors": […]}` of GraphQL. */

import type { Socket } from "node:net";
import type { FastifyError, FastifyReply } from "fastify";
import type { ErrorCode } from "../../kernel/error-codes.ts";
import { CheckError, FormatError, isCodedError } from "../../kernel/errors.ts";

/** An error as the client sees it. */
export interface HttpFault {
  readonly status: number;
  readonly code: ErrorCode;
  readonly message: string;
}

/** Codes whose status is not that of their class (FormatError 400, CheckError 403, else 500). */
const STATUS: Partial<Record<ErrorCode, number>> = {
  ERR_TOKEN: 401,
  ERR_NOT_FOUND: 404,
  ERR_HOST: 421,
  ERR_BODY_SIZE: 413,
  ERR_CONTENT_TYPE: 415,
  ERR_QUEUE_FULL: 429,
};

/** Status of what Node's parser refuses, where it is not 400. */
const NO_HTTP: Readonly<Record<string, string>> = {
  HPE_HEADER_OVERFLOW: "431 Request Header Fields Too Large",
  ERR_HTTP_REQUEST_TIMEOUT: "408 Request Timeout",
};

/** Status, code and message of anything thrown. What is not ours to tell becomes 500 without its text. */
export function faultOf(error: unknown): HttpFault {
  if (isCodedError(error)) {
    const status = STATUS[error.code] ?? defaultStatus(error);
    return { status, code: error.code, message: status === 500 ? "internal fault" : error.message };
  }
  return fastifyFault(error) ?? { status: 500, code: "ERR_BUG", message: "internal fault" };
}

/** Answers with a fault; GraphQL's own form on its route. */
export function sendFault(reply: FastifyReply, { status, code, message }: HttpFault, isGraphql: boolean): FastifyReply {
  if (status === 429) reply.header("retry-after", 1);
  if (status === 401) reply.header("www-authenticate", "Bearer");
  const body = isGraphql ? { errors: [{ message, extensions: { code } }] } : { error: { code, message } };
  return reply
    .code(status)
    .header("cache-control", "no-store")
    .type("application/json; charset=utf-8")
    .send(JSON.stringify(body));
}

/** Bytes that are not HTTP, or came too slowly: no request was made of them, so the answer is written by hand. */
export function answerNoHttp(error: Error & { readonly code: string }, socket: Socket): void {
  if (error.code === "ECONNRESET" || !socket.writable) return void socket.destroy(error);
  const body = JSON.stringify({ error: { code: "ERR_REQUEST", message: "the request is not HTTP" } });
  const head = `HTTP/1.1 ${NO_HTTP[error.code] ?? "400 Bad Request"}\r\nconnection: close`;
  socket.end(
    `${head}\r\ncontent-type: application/json; charset=utf-8\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
  );
}

function defaultStatus(error: unknown): number {
  if (error instanceof FormatError) return 400;
  return error instanceof CheckError ? 403 : 500;
}

/** What fastify itself refuses: size and type of a body, bytes that are not HTTP. */
function fastifyFault(error: unknown): HttpFault | undefined {
  if (!isFastifyError(error)) return undefined;
  if (error.statusCode === 413) {
    return { status: 413, code: "ERR_BODY_SIZE", message: "the body is above the limit of this route" };
  }
  if (error.statusCode === 415) {
    return { status: 415, code: "ERR_CONTENT_TYPE", message: "want content-type application/json" };
  }
  if (error.statusCode === undefined || error.statusCode >= 500) return undefined;
  return { status: error.statusCode, code: "ERR_REQUEST", message: "the request cannot be read" };
}

function isFastifyError(error: unknown): error is FastifyError {
  return error instanceof Error && "code" in error && typeof error.code === "string" && error.code.startsWith("FST_");
}
