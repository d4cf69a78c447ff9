/** What a call comes to in the turn of its decision: stages, policy, obligations, each on what the one before found. */

import type { CatalogSource } from "../catalog/catalog-keeper.ts";
import { askPolicy, formatQuestion } from "../policy/asked-question.ts";
import type { KeepPayload } from "../vault/payload-store.ts";
import { microseconds } from "./call-end.ts";
import { judge } from "./judge.ts";
import { actionOf, type QuestionFacts, questionOf } from "./policy-question.ts";
import {
  type CallTurn,
  type Contribution,
  decisionFields,
  denialsOf,
  type Settlement,
  type Stages,
  type TurnLook,
} from "./stage.ts";

/** What the turn of a decision came to. */
export interface Turn {
  readonly settlement: Settlement;
  /** What policy was asked on. */
  readonly facts: QuestionFacts;
  readonly policyUs: number;
  /** The question to policy, where messages are kept: nobody else could open it. */
  readonly detail: Uint8Array | undefined;
  /** Its receipt did not fit, so it is refused after all. */
  readonly isTooLarge: boolean;
}

/** What a turn is settled with. */
export interface SettleOptions {
  readonly catalog: CatalogSource;
  readonly stages: Pick<Stages, "gates" | "obligations">;
  /** Undefined: no messages are kept. */
  readonly keepPayload: KeepPayload | undefined;
  /** Milliseconds of a clock that never goes back. */
  readonly monotonicMs: () => number;
}

/** Stages, policy, obligations: in this order, each on what the one before found. */
export function settleTurn(options: SettleOptions, turn: CallTurn, looks: readonly TurnLook[]): Turn {
  const { monotonicMs, stages } = options;
  const { evaluator } = turn.basis;
  const found: Contribution[] = [];
  for (const look of looks) found.push(look(turn));
  const facts = factsOf(options, turn, found);
  const before = monotonicMs();
  const { answer, question } = askPolicy(evaluator, actionOf(turn.call), (actionId) =>
    questionOf(turn.call, actionId, facts),
  );
  const policyUs = microseconds(monotonicMs() - before);
  let settlement: Settlement = {
    judged: judge(turn.mode, denialsOf(turn.call, stages.gates, found, turn.finding.denials), answer),
    toSend: turn.call.toSend,
    fields: decisionFields(found),
    labels: answer.taint,
  };
  for (const stage of stages.obligations) settlement = stage.settle(turn, answer, settlement);
  // It may fail before the receipt is there, and nobody waits for it until then; whoever waits learns of it all the same.
  settlement.durable?.catch(() => undefined);
  const isKept = options.keepPayload !== undefined && question !== undefined;
  return { settlement, facts, policyUs, detail: isKept ? formatQuestion(question) : undefined, isTooLarge: false };
}

function factsOf(
  { catalog }: SettleOptions,
  { session, open, finding, mode, nowMs }: CallTurn,
  found: readonly Contribution[],
): QuestionFacts {
  return {
    mode,
    nowMs,
    catalogDigest: catalog.current().digest,
    definition: finding.definition,
    session: { calls: open.total, servers: open.servers, ageMs: nowMs - session.openedAtMs },
    found,
  };
}
