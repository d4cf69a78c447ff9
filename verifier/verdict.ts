/** Verdicts and what they are made of: findings about single entries, receipts, sessions or files. */

import type { ErrorCode } from "../kernel/error-codes.ts";
import { isCodedError } from "../kernel/errors.ts";
import type { ReasonCode } from "../kernel/receipt/reasons.ts";
import type { VerdictReason } from "./verdict-reasons.ts";

/** The verdict about one obligation, as JSON. */
export type Judgement =
  /** `detail` says what was looked at. */
  { readonly verdict: "pass"; readonly detail: string } | Fault | Doubt;

/** Something is false. `count`: how many findings of this kind there are; the first one is named. */
export type Fault = {
  readonly verdict: "fail";
  readonly code: ErrorCode;
  /** What it is about: `<stream>/<seq>`, `<origin>#<index>`, a digest, or `bundle`. */
  readonly subject: string;
  readonly detail: string;
  readonly count: number;
};

/** Something could not be established. A reason of a receipt stands here where the receipt itself gives it. */
export type Doubt = {
  readonly verdict: "not_established";
  readonly reason: VerdictReason | ReasonCode;
  readonly subject: string;
  readonly detail: string;
  readonly count: number;
};

/** What a check found about one thing; things that are right leave no finding. */
export type Finding = Fault | Doubt;

/** A finding that something is false. */
export function fault(code: ErrorCode, subject: string, detail: string): Fault {
  return { verdict: "fail", code, subject, detail, count: 1 };
}

/** A finding that something could not be established. */
export function doubt(reason: VerdictReason | ReasonCode, subject: string, detail: string): Doubt {
  return { verdict: "not_established", reason, subject, detail, count: 1 };
}

/** The finding that a refusal of the kernel is; our own faults are thrown on. */
export function faultOf(error: unknown, subject: string): Fault {
  if (!isCodedError(error) || error.code === "ERR_BUG") throw error;
  return fault(error.code, subject, error.message);
}

/** What `check` refuses, as a finding; nothing if it returns. */
export function findingsOf(subject: string, check: () => void): readonly Fault[] {
  try {
    check();
    return [];
  } catch (error) {
    return [faultOf(error, subject)];
  }
}

/** The verdict that findings make: the first fault, else the first doubt, else a pass. */
export function judge(findings: readonly Finding[], passDetail: string): Judgement {
  const faults = findings.filter(({ verdict }) => verdict === "fail");
  const decisive = faults.length > 0 ? faults : findings;
  const [first] = decisive;
  return first === undefined ? { verdict: "pass", detail: passDetail } : { ...first, count: decisive.length };
}

/**
 * A pass that rests on others counts only where they pass: what an unauthenticated receipt says is not established. A
 * fault stays a fault.
 */
export function resting(judgement: Judgement, reason: VerdictReason, ...on: readonly Judgement[]): Judgement {
  const missing = on.find(({ verdict }) => verdict !== "pass");
  if (judgement.verdict !== "pass" || missing === undefined || missing.verdict === "pass") return judgement;
  return doubt(reason, missing.subject, "it holds only together with an obligation above that does not pass");
}
