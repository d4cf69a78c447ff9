/**
 * The one table from faults to SCRAPI answers: every 4xx and 5xx is a concise problem detail in CBOR (RFC 9290),
 * `{-1: title, -2: detail}`. Titles are those that SCRAPI names, where it names one; the detail begins with our code.
 */

import type { FastifyReply } from "fastify";
import { formatCbor } from "../../kernel/cbor/encode.ts";
import type { ErrorCode } from "../../kernel/error-codes.ts";
import { faultOf } from "../http/errors.ts";

/** Seconds that a client is asked to wait after 429 and 503. */
const RETRY_AFTER_SECONDS = 1;

interface ProblemKind {
  readonly status: number;
  readonly title: string;
}

const REJECTED: ProblemKind = { status: 400, title: "Rejected" };
const NO_SERVICE: ProblemKind = { status: 404, title: "Not Found" };

/** Codes whose problem is not that of their class. */
const BY_CODE: Partial<Record<ErrorCode, ProblemKind>> = {
  ERR_COSE_ALG: { status: 400, title: "Bad Signature Algorithm" },
  ERR_COSE_PAYLOAD: { status: 400, title: "Payload Missing" },
  ERR_COSE_KEY_UNKNOWN: { status: 404, title: "No such key" },
  ERR_COSE_SIGNATURE: REJECTED,
  ERR_ENTRY_LENGTH: { status: 413, title: "Statement Too Large" },
  ERR_ENTRY_LOCATOR: { status: 400, title: "Invalid locator" },
  ERR_ENTRY_UNKNOWN: { status: 404, title: "Operation Not Found" },
  ERR_RATE_LIMIT: { status: 429, title: "Too Many Requests" },
  // SCRAPI has no 410: a log that has ended registers nothing.
  ERR_LOG_CLOSED: REJECTED,
  ERR_SCITT_OFF: NO_SERVICE,
  ERR_STATEMENT_ISSUER: REJECTED,
};

/** Problems by the status that the error has on other routes. */
const BY_STATUS: Readonly<Record<number, ProblemKind>> = {
  400: { status: 400, title: "Malformed request" },
  403: REJECTED,
  404: NO_SERVICE,
  413: { status: 413, title: "Statement Too Large" },
  // SCRAPI has no 415: a body that is not application/cose is no statement.
  415: { status: 400, title: "Malformed request" },
  429: { status: 429, title: "Too Many Requests" },
  500: { status: 500, title: "Internal Server Error" },
  503: { status: 503, title: "Service Unavailable" },
};

/** Answers with the problem of whatever was thrown. */
export function sendProblem(reply: FastifyReply, error: unknown): FastifyReply {
  const { status: faultStatus, code, message } = faultOf(error);
  const { status, title } = BY_CODE[code] ?? BY_STATUS[faultStatus] ?? { status: faultStatus, title: "Error" };
  if (status === 429 || status === 503) reply.header("retry-after", RETRY_AFTER_SECONDS);
  const body = formatCbor(
    new Map([
      [-1n, title],
      [-2n, `${code}: ${message}`],
    ]),
  );
  return reply
    .code(status)
    .header("cache-control", "no-store")
    .header("content-type", "application/concise-problem-details+cbor")
    .send(body);
}
