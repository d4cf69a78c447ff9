/** Faults that pass: whoever meets one asks again later, whether it came as the status of an answer or on a line of a stream. */

import type { ErrorCode } from "../error-codes.ts";

/** HTTP status by code, 429 or 503. */
export const LATER_STATUS: Readonly<Partial<Record<ErrorCode, 429 | 503>>> = {
  ERR_CHECK_BACKLOG: 429,
  ERR_QUEUE_FULL: 429,
  ERR_QUOTA: 429,
  ERR_RATE_LIMIT: 429,
  ERR_DATABASE: 503,
  ERR_LEDGER_STOPPED: 503,
  ERR_LOG_HALTED: 503,
  ERR_NODE_ROLE: 503,
  ERR_OBJECT_STORE: 503,
};

/** True for the code of a fault that passes; `code` may be any text. */
export function isLaterCode(code: string): boolean {
  return Object.hasOwn(LATER_STATUS, code);
}
