/** What a status document is worth to whoever pinned a witness policy: a standing that is proven, or why it is not. */

import type { ErrorCode } from "../error-codes.ts";
import { BugError, isCodedError } from "../errors.ts";
import type { WitnessPolicy } from "../witness-policy.ts";
import { checkLogStatus, type LogStatus, type LogStatusDocument } from "./log-status.ts";

/** The verdict. `pass`: what the log is, as of its checkpoint. */
export type StatusVerdict =
  | { readonly verdict: "pass"; readonly status: LogStatus }
  | {
      readonly verdict: "fail" | "not_established";
      readonly code: ErrorCode;
      readonly message: string;
      readonly status?: LogStatus;
    };

/** Codes that say that something is not known, not that something is false. */
const UNKNOWN: ReadonlySet<ErrorCode> = new Set<ErrorCode>(["ERR_ORIGIN", "ERR_QUORUM", "ERR_LOG_UNWITNESSED"]);

/** How old the cosignatures may be, and by whose clock. */
export interface Freshness {
  readonly maxAgeSeconds: bigint;
  readonly nowSeconds: bigint;
}

/**
 * Judges a status document. A log that has ended has ended for good, so its status does not age; that of an open one says what
 * was so when a quorum cosigned, and `freshness` bounds how long ago that may be.
 */
export function appraiseLogStatus(
  document: LogStatusDocument,
  policy: WitnessPolicy,
  freshness?: Freshness,
): StatusVerdict {
  try {
    return judge(checkLogStatus(document, policy), policy, freshness);
  } catch (error) {
    if (!isCodedError(error) || error instanceof BugError) throw error;
    const { code, message } = error;
    return { verdict: UNKNOWN.has(code) ? "not_established" : "fail", code, message };
  }
}

function judge(status: LogStatus, { quorum }: WitnessPolicy, freshness: Freshness | undefined): StatusVerdict {
  const seconds = status.witnessedSeconds;
  if (quorum === "none" || seconds === undefined) {
    const message = "the policy wants no witness, so only the log itself says what it is";
    return { verdict: "not_established", code: "ERR_LOG_UNWITNESSED", message, status };
  }
  const hasEnded = status.state.closing !== undefined;
  if (hasEnded || freshness === undefined || freshness.nowSeconds - seconds <= freshness.maxAgeSeconds) {
    return { verdict: "pass", status };
  }
  const message = `witnessed ${freshness.nowSeconds - seconds} s ago, want at most ${freshness.maxAgeSeconds}`;
  return { verdict: "not_established", code: "ERR_LOG_STATUS_STALE", message, status };
}
