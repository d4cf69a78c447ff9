/**
 * Runs an answer through the response stages, the `respond` decision, and what that obliges to. A stage that fails
 * withholds the answer, and the receipt says `blocked`.
 */

import type { Label } from "../../kernel/receipt/fields.ts";
import { present } from "../../kernel/receipt/observed.ts";
import type { Ruling } from "../../kernel/receipt/ruling.ts";
import type { ObligationKind } from "../../kernel/receipt/vocabulary.ts";
import type { PolicyAnswer } from "../policy/evaluator.ts";
import type { CallOutcome, CallRefusal } from "./call.ts";
import {
  type EndedCall,
  type EndedStep,
  type OutcomeFields,
  type OutcomeTurn,
  outcomeFields,
  type Stages,
} from "./stage.ts";

/** What the stages made of an answer. */
export interface Ended {
  readonly outcome: CallOutcome;
  readonly look: (turn: OutcomeTurn) => OutcomeFields;
  /** What the answer brings into its session. */
  readonly labels: readonly Label[];
  /** What a stage failed with: the agent gets nothing of the answer. */
  readonly fault?: Error;
}

/** What policy says of an answer. */
export interface RespondDecision {
  readonly answer: PolicyAnswer;
  readonly ruling: Ruling;
  /** Set if the agent does not get the answer. */
  readonly refusal?: CallRefusal;
}

/** Asks policy about an answer; undefined if no policy speaks of results of this call. */
export type AskRespond = (
  ended: EndedCall,
  found: readonly Pick<EndedStep, "session" | "system">[],
) => RespondDecision | undefined;

/** What the steps so far came to. */
interface Row {
  readonly stages: Pick<Stages, "response" | "respond">;
  readonly ask: AskRespond;
  ended: EndedCall;
  readonly steps: EndedStep[];
  decision: RespondDecision | undefined;
}

/** Each stage gets what the one before left; a fault ends the row. A promise if one of them waits, which most do not. */
export function endCall(
  stages: Pick<Stages, "response" | "respond">,
  given: EndedCall,
  ask: AskRespond,
): Ended | Promise<Ended> {
  return passFrom({ stages, ask, ended: given, steps: [], decision: undefined }, 0);
}

/** @param first  the place that is next in the row: of a response stage, of policy behind them, of a respond stage behind it */
function passFrom(row: Row, first: number): Ended | Promise<Ended> {
  const { response, respond } = row.stages;
  try {
    for (let at = first; at <= response.length + respond.length; at += 1) {
      const step = stepAt(row, at);
      if (step instanceof Promise) return passBehind(row, step, at);
      if (step !== undefined) take(row, step);
    }
  } catch (error) {
    return faulted(row, error);
  }
  return { outcome: row.ended.outcome, look: (turn) => fieldsOf(row, turn), labels: row.ended.labels };
}

function passBehind(row: Row, step: Promise<EndedStep>, at: number): Promise<Ended> {
  const next = (late: EndedStep): Ended | Promise<Ended> => {
    take(row, late);
    return passFrom(row, at + 1);
  };
  return step.then(next, (error: unknown) => faulted(row, error));
}

function stepAt(row: Row, at: number): EndedStep | Promise<EndedStep> | undefined {
  const { response, respond } = row.stages;
  if (at !== response.length) {
    return at < response.length
      ? response[at]?.end(row.ended)
      : respond[at - response.length - 1]?.settle(row.ended, row.decision?.answer);
  }
  row.decision = row.ask(row.ended, row.steps);
  if (row.decision !== undefined) row.ended = decidedOn(row.ended, row.decision);
  return undefined;
}

function faulted(row: Row, error: unknown): Ended {
  const fault = error instanceof Error ? error : new Error("a response stage failed", { cause: error });
  const outcome = blocked(row.ended.outcome, undefined);
  return { outcome, look: (turn) => fieldsOf(row, turn), labels: [], fault };
}

function fieldsOf(row: Row, turn: OutcomeTurn): OutcomeFields {
  const parts = [respondField(row)];
  for (const { look } of row.steps) parts.push(look?.(turn));
  return outcomeFields(parts);
}

function take(row: Row, step: EndedStep): void {
  row.steps.push(step);
  const { call, open, labels, outcome } = row.ended;
  // Most steps leave the answer as it is.
  if (step.outcome === outcome && step.labels === undefined) return;
  const all = step.labels === undefined ? labels : [...labels, ...step.labels];
  row.ended = { call, open, outcome: step.outcome, labels: all };
}

/** An invented answer: stages may count it, and change nothing, since no server gave it and the receipt says so. */
export async function endPhantom({ response }: Pick<Stages, "response">, given: EndedCall): Promise<Ended> {
  const looks: EndedStep["look"][] = [];
  for (const stage of response) looks.push((await stage.end(given)).look);
  return {
    outcome: given.outcome,
    labels: [],
    look: (turn) => outcomeFields(looks.map((look) => look?.(turn))),
  };
}

/** The answer under the decision about it: taken away, or with the labels that it brings. */
function decidedOn(ended: EndedCall, { answer, refusal }: RespondDecision): EndedCall {
  if (refusal !== undefined) return { ...ended, outcome: blocked(ended.outcome, refusal) };
  return { ...ended, labels: [...ended.labels, ...answer.taint] };
}

/** The `respond` ruling, with the obligations that the stages carried out. */
function respondField({ decision, steps }: Row): OutcomeFields | undefined {
  if (decision === undefined) return undefined;
  const done = new Set<ObligationKind>(steps.flatMap(({ carriedOut = [] }) => carriedOut));
  const obligations = decision.ruling.obligations.map((one) => ({ ...one, applied: done.has(one.kind) }));
  return { respond: present({ ...decision.ruling, obligations }) };
}

/** The answer as one that the agent does not get. A server that answered has acted. */
function blocked({ returned: _, ...outcome }: CallOutcome, refusal: CallRefusal | undefined): CallOutcome {
  const why = refusal === undefined ? {} : { refusal };
  return { ...outcome, ...why, status: "blocked", effect: outcome.effect === "none" ? "unknown" : outcome.effect };
}
