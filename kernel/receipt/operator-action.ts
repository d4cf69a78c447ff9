/**
 * Operator-action receipt: a control was moved outside of any call, by an operator or by a rule of an operator's: kill
 * switch, quarantine of a subject, a decision about an approval.
 */

import { FormatError } from "../errors.ts";
import { hex, literal, mapped, object, type Shape, tagged } from "../shape.ts";
import { type Signed, signaturesShape } from "../signature/envelope.ts";
import { checkEarlier, observedSeq } from "./earlier.ts";
import { type Hex64, hex64Shape, type ServerId, seqShape, serverIdShape } from "./fields.ts";
import { headerMembers, type StreamHeader } from "./header.ts";
import { type Principal, principalShape } from "./identity.ts";
import { type Observed, observed } from "./observed.ts";
import { type ReasonCode, reasonShape } from "./reasons.ts";
import { type CalledName, calledNameShape } from "./target.ts";
import { APPROVAL_EVIDENCES, type ApprovalEvidence, OPERATOR_ACTIONS, type OperatorAction } from "./vocabulary.ts";

/** What the action is about; principals and sessions by their keyed hashes. */
export type ActionTarget =
  | { readonly type: "all" }
  | { readonly type: "principal"; readonly id: Hex64 }
  | { readonly type: "session"; readonly key: Hex64 }
  | { readonly type: "server"; readonly server: ServerId }
  | { readonly type: "tool"; readonly server: ServerId; readonly name: CalledName }
  /** `binding`: digest of everything that the approval is bound to. */
  | { readonly type: "approval"; readonly id: string; readonly binding: Hex64 };

/** Body of an operator-action receipt. */
export type OperatorActionBody = StreamHeader & {
  readonly kind: "operator-action";
  readonly action: OperatorAction;
  /** Who, keyed; `absent` if the gateway acted by a rule of its operator. */
  readonly by: Observed<Principal>;
  /** How that was authenticated; `absent` exactly if `by` is. */
  readonly evidence: Observed<ApprovalEvidence>;
  readonly target: ActionTarget;
  readonly reason: ReasonCode;
  /** The receipt that led to it. */
  readonly cause: Observed<number>;
};

const targetShape: Shape<ActionTarget> = tagged("type", {
  all: object<{ readonly type: "all" }>({ type: literal("all") }),
  principal: object<{ readonly type: "principal"; readonly id: Hex64 }>({ type: literal("principal"), id: hex64Shape }),
  session: object<{ readonly type: "session"; readonly key: Hex64 }>({ type: literal("session"), key: hex64Shape }),
  server: object<{ readonly type: "server"; readonly server: ServerId }>({
    type: literal("server"),
    server: serverIdShape,
  }),
  tool: object<{ readonly type: "tool"; readonly server: ServerId; readonly name: CalledName }>({
    type: literal("tool"),
    server: serverIdShape,
    name: calledNameShape,
  }),
  approval: object<{ readonly type: "approval"; readonly id: string; readonly binding: Hex64 }>({
    type: literal("approval"),
    id: hex(16),
    binding: hex64Shape,
  }),
});

export const operatorActionShape: Shape<Signed<OperatorActionBody>> = mapped(
  object<Signed<OperatorActionBody>>({
    ...headerMembers,
    kind: literal("operator-action"),
    action: literal(...OPERATOR_ACTIONS),
    by: observed(principalShape),
    evidence: observed(literal(...APPROVAL_EVIDENCES)),
    target: targetShape,
    reason: reasonShape,
    cause: observed(seqShape),
    signatures: signaturesShape,
  }),
  checkAction,
);

/** Whoever acts was authenticated somehow; its cause lies before it. */
function checkAction(receipt: Signed<OperatorActionBody>): Signed<OperatorActionBody> {
  const { by, evidence, action, target, cause, seq } = receipt;
  if ((by.state === "present") !== (evidence.state === "present")) {
    throw new FormatError("ERR_SHAPE", "operator-action: want evidence exactly if somebody acted");
  }
  if (action.startsWith("approval-") !== (target.type === "approval")) {
    throw new FormatError("ERR_SHAPE", "operator-action: want an approval as the target of a decision about one");
  }
  checkEarlier(seq, observedSeq(cause));
  return receipt;
}
