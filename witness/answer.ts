/** Answers of a witness in terms of HTTP, without HTTP. */

import type { ErrorCode } from "../kernel/error-codes.ts";

/** An answer. `code` names the outcome for metrics and logs; a refusal's body begins with it. */
export interface WitnessAnswer {
  readonly status: 200 | 400 | 403 | 404 | 409 | 422 | 429 | 500 | 503;
  readonly contentType: string;
  readonly body: string;
  readonly code: ErrorCode | "conflict" | "cosigned";
  /** The log that was asked about, if it is a known one: for metrics. */
  readonly origin?: string;
  /** Milliseconds after which to come back, with a 429. */
  readonly retryAfterMs?: number;
}

/** A status that is refused with a code and a reason. */
export type RefusalStatus = Exclude<WitnessAnswer["status"], 200 | 409>;

/** Content type of lines and refusals. */
export const TEXT = "text/plain; charset=utf-8";
const SIZE = "text/x.tlog.size";

/** A refusal: one line of text. */
export function refusal(status: RefusalStatus, code: ErrorCode, why: string, origin?: string): WitnessAnswer {
  return { status, contentType: TEXT, body: `${code}: ${why}\n`, code, ...(origin === undefined ? {} : { origin }) };
}

/** SPEC tlog-witness: a 409 carries the recorded size in decimal, ended by LF. */
export function conflict(recordedSize: bigint, origin: string): WitnessAnswer {
  return { status: 409, contentType: SIZE, body: `${recordedSize}\n`, code: "conflict", origin };
}

/** Signature lines. */
export function cosigned(lines: readonly string[], origin: string): WitnessAnswer {
  return { status: 200, contentType: TEXT, body: lines.join(""), code: "cosigned", origin };
}

/** More requests than the log's rate allows. */
export function tooMany(what: string, retryAfterMs: number, origin?: string): WitnessAnswer {
  return { ...refusal(429, "ERR_QUEUE_FULL", what, origin), retryAfterMs };
}
