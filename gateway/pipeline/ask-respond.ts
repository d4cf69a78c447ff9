/** Policy asked about the answer to a call. Whatever goes wrong on the way is a denial. */

import type { Label } from "../../kernel/receipt/fields.ts";
import { askPolicy } from "../policy/asked-question.ts";
import { deniedBy, type PolicyRequest } from "../policy/evaluator.ts";
import type { InboundCall } from "./call.ts";
import { type CallBasis, rulingOf } from "./decision-body.ts";
import { judgeResult } from "./judge.ts";
import { type QuestionFacts, respondActionOf, respondQuestionOf } from "./policy-question.ts";
import type { RespondDecision } from "./response-stages.ts";
import type { Contribution, EndedCall } from "./stage.ts";

/** A forwarded call whose outcome is awaited. */
export interface Flight {
  readonly call: InboundCall;
  readonly labels: readonly Label[];
  readonly facts: QuestionFacts;
  readonly startedMs: number;
  readonly policyUs: number;
  /** Gives back what the gates took, as far as it is still taken. @param wasSent  whether the call may have been */
  readonly release: ((wasSent: boolean) => void) | undefined;
}

/** What a result is decided with. */
export interface RespondOptions {
  readonly basisOf: (call: InboundCall) => CallBasis;
  readonly nowMs: () => number;
}

/** Policy's answer about a result, if the bundle speaks of it. */
export function askRespond(
  { basisOf, nowMs }: RespondOptions,
  { call, facts }: Flight,
  { outcome }: EndedCall,
  steps: readonly Pick<Contribution, "session" | "system">[],
): RespondDecision | undefined {
  const { evaluator, run } = basisOf(call);
  const actionId = respondActionOf(call, outcome);
  if (actionId === undefined || !evaluator.hasAction(actionId)) return undefined;
  // What was found in the request is not found in the result.
  const found = [...facts.found, { system: { findings: [] } }, ...steps];
  const question = (): PolicyRequest => respondQuestionOf(call, actionId, outcome, { ...facts, nowMs: nowMs(), found });
  // A result that comes another way would go past the rules for results.
  const isUnseen = outcome.unseen !== undefined;
  const answer = isUnseen ? deniedBy("policy.request-unmappable") : askPolicy(evaluator, actionId, question).answer;
  // Advisory policies speak of the result, and none matched.
  if (answer.allowed && answer.policies.length + answer.advisory.length === 0) return undefined;
  const { ruling, refusal } = judgeResult(run.mode, answer);
  return { answer, ruling: rulingOf(run.mode, ruling), ...(refusal === undefined ? {} : { refusal }) };
}
