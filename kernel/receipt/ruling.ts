/** What was decided and why: at the request (in a decision receipt) or at the response (in an outcome receipt). */

import type { Commitment, PolicyId } from "./fields.ts";
import type { Observed } from "./observed.ts";
import type { ReasonCode } from "./reasons.ts";
import type { Action, Judgement, Mode, ObligationKind, Step } from "./vocabulary.ts";

/** An obligation of a determining policy, and whether the gateway carried it out. */
export type Obligation = { readonly policy: PolicyId; readonly kind: ObligationKind; readonly applied: boolean };

/**
 * One ruling. `judgement` is what enforcing mode makes of it and `action` is what was done, so
 * `would_deny` = (`action` is `forward` and `judgement` is not `allow`), and in `enforcing` mode it is always false.
 */
export type Ruling = {
  readonly mode: Mode;
  readonly action: Action;
  readonly judgement: Judgement;
  readonly would_deny: boolean;
  /** The step that settled it. */
  readonly step: Step;
  /** At least one. */
  readonly reasons: readonly ReasonCode[];
  /** Policies that determined the answer. */
  readonly policies: readonly PolicyId[];
  /** Policies whose evaluation failed. */
  readonly erring: readonly PolicyId[];
  /** Advisory forbids that would have matched. */
  readonly advisory: readonly PolicyId[];
  readonly obligations: readonly Obligation[];
  /** Names of controls for evidence, from the policies' annotations. */
  readonly controls: readonly string[];
  /** Commitment to the detail behind the reasons (commitment name `detail`). */
  readonly detail: Observed<Commitment>;
};
