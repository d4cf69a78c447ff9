/** Runs an answer through the response stages. A stage that fails withholds the answer, and the receipt says `blocked`. */

import type { CallOutcome } from "./call.ts";
import {
  type EndedCall,
  type EndedStep,
  merged,
  type OutcomeFields,
  type OutcomeTurn,
  type ResponseStage,
} from "./stage.ts";

/** What the stages made of an answer. */
export interface Ended {
  readonly outcome: CallOutcome;
  readonly look: (turn: OutcomeTurn) => OutcomeFields;
  /** What a stage failed with: the agent gets nothing of the answer. */
  readonly fault?: Error;
}

/** Each stage gets what the one before left; a fault ends the row. */
export async function endCall(stages: readonly ResponseStage[], given: EndedCall): Promise<Ended> {
  const { call, open, outcome } = given;
  const looks: NonNullable<EndedStep["look"]>[] = [];
  const look = (turn: OutcomeTurn): OutcomeFields => merged<OutcomeFields>(looks.map((one) => one(turn)));
  let [current, labels] = [outcome, given.labels];
  try {
    for (const stage of stages) {
      const step = await stage.end({ call, open, outcome: current, labels });
      current = step.outcome;
      labels = [...labels, ...(step.labels ?? [])];
      if (step.look !== undefined) looks.push(step.look);
    }
    return { outcome: current, look };
  } catch (error) {
    const fault = error instanceof Error ? error : new Error("a response stage failed", { cause: error });
    const { returned: _, ...withheld } = current;
    return { outcome: { ...withheld, status: "blocked", effect: effectOf(current) }, look, fault };
  }
}

/** A server that answered has acted; `blocked` cannot be said of a call that nobody answered. */
function effectOf({ effect }: CallOutcome): CallOutcome["effect"] {
  return effect === "none" ? "unknown" : effect;
}
