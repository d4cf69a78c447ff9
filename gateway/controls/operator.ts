/** Who moves a control, and the receipt of it. */

import { ABSENT, type Observed, present } from "../../kernel/receipt/observed.ts";
import type { ActionTarget } from "../../kernel/receipt/operator-action.ts";
import type { ReasonCode } from "../../kernel/receipt/reasons.ts";
import type { ApprovalEvidence, OperatorAction } from "../../kernel/receipt/vocabulary.ts";
import type { Party } from "../pipeline/call.ts";
import type { KeyedNames } from "../pipeline/keyed-names.ts";
import type { Recorder } from "../receipts/recorder.ts";

/** A person or program with an operator's credential. */
export interface Operator {
  readonly issuer: string;
  readonly name: string;
  /** What the credential proves. */
  readonly evidence: ApprovalEvidence;
  /** What the operator may decide: names of the configuration. */
  readonly roles: readonly string[];
  /** Who the person is as a caller, beside the local principal of the same name. */
  readonly principals?: readonly Party[];
}

/** Reasons that an operator may give. */
export const OPERATOR_REASONS = ["operator.incident", "operator.maintenance", "operator.request"] as const;
export type OperatorReason = (typeof OPERATOR_REASONS)[number];

/** What was done. */
export interface Action {
  readonly action: OperatorAction;
  /** Undefined if the gateway acts by a rule of its operator. */
  readonly operator: Operator | undefined;
  /** @param secret  for commitments of the receipt */
  readonly target: (secret: Uint8Array) => ActionTarget;
  readonly reason: ReasonCode;
  /** Number of the receipt that led to it. */
  readonly cause?: number;
}

/** Writes receipts of actions. */
export class ActionBook {
  readonly #recorder: Pick<Recorder, "append">;
  readonly #names: KeyedNames;

  constructor(recorder: Pick<Recorder, "append">, names: KeyedNames) {
    this.#recorder = recorder;
    this.#names = names;
  }

  /** Keyed hash of an operator; null for the gateway itself. */
  idOf(operator: Operator | undefined): string | null {
    return operator === undefined ? null : this.#names.operator(operator).id;
  }

  /** @returns number of the receipt, which is durable. @throws {StoreError} ERR_STREAM_FAILED */
  async write({ action, operator, target, reason, cause }: Action): Promise<number> {
    const by = operator === undefined ? ABSENT : present(this.#names.operator(operator));
    const evidence: Observed<ApprovalEvidence> = operator === undefined ? ABSENT : present(operator.evidence);
    const { seq } = await this.#recorder.append((secret) => ({
      kind: "operator-action",
      action,
      by,
      evidence,
      target: target(secret),
      reason,
      cause: cause === undefined ? ABSENT : present(cause),
    }));
    return seq;
  }
}
