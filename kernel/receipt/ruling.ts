/** What was decided and why: at the request (in a decision receipt) or at the response (in an outcome receipt). */

import { FormatError } from "../errors.ts";
import { array, boolean, literal, mapped, object, type Shape, string } from "../shape.ts";
import { type Commitment, commitmentShape, MAX_NAMES, type PolicyId, policyIdShape } from "./fields.ts";
import { type Observed, observed } from "./observed.ts";
import { type ReasonCode, reasonShape } from "./reasons.ts";
import {
  ACTIONS,
  type Action,
  JUDGEMENTS,
  type Judgement,
  MODES,
  type Mode,
  OBLIGATIONS,
  type ObligationKind,
  STEPS,
  type Step,
} from "./vocabulary.ts";

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

const policyIds: Shape<readonly PolicyId[]> = array(policyIdShape, { max: MAX_NAMES });
const controlShape: Shape<string> = string({ pattern: /^[A-Za-z0-9][A-Za-z0-9 .:()/-]{0,63}$/u, maxLength: 64 });

export const rulingShape: Shape<Ruling> = mapped(
  object<Ruling>({
    mode: literal(...MODES),
    action: literal(...ACTIONS),
    judgement: literal(...JUDGEMENTS),
    would_deny: boolean(),
    step: literal(...STEPS),
    reasons: array(reasonShape, { min: 1, max: MAX_NAMES }),
    policies: policyIds,
    erring: policyIds,
    advisory: policyIds,
    obligations: array(
      object<Obligation>({ policy: policyIdShape, kind: literal(...OBLIGATIONS), applied: boolean() }),
      { max: MAX_NAMES },
    ),
    controls: array(controlShape, { max: MAX_NAMES }),
    detail: observed(commitmentShape),
  }),
  checkRuling,
);

/** What was done must follow from what was judged and from the mode; no other combination can be signed or read. */
function checkRuling(ruling: Ruling): Ruling {
  const { mode, action, judgement, would_deny } = ruling;
  if (would_deny !== (action === "forward" && judgement !== "allow")) {
    throw new FormatError(
      "ERR_SHAPE",
      "want would_deny exactly if a call is forwarded that enforcing mode does not allow",
    );
  }
  if (mode === "enforcing" && would_deny) {
    throw new FormatError("ERR_SHAPE", "want no forwarded call that enforcing mode does not allow");
  }
  if ((action === "refuse" && judgement === "allow") || (action === "hold" && judgement !== "hold")) {
    throw new FormatError("ERR_SHAPE", "want a judgement that explains the action");
  }
  return ruling;
}
