/**
 * Operator-action receipt: a control was moved outside of any call, by an operator or by a rule of an operator's: kill
 * switch, quarantine of a subject, a decision about an approval, a disclosure, an erasure.
 */

import { FormatError } from "../errors.ts";
import { array, hex, integer, literal, mapped, object, type Shape, tagged } from "../shape.ts";
import { type Signed, signaturesShape } from "../signature/envelope.ts";
import { checkEarlier, observedSeq } from "./earlier.ts";
import { type Digest, digestShape, type Hex64, hex64Shape, type ServerId, seqShape, serverIdShape } from "./fields.ts";
import { headerMembers, type StreamHeader } from "./header.ts";
import { type Principal, principalShape } from "./identity.ts";
import { type Observed, observed } from "./observed.ts";
import { type ReasonCode, reasonShape } from "./reasons.ts";
import { type CalledName, calledNameShape } from "./target.ts";
import {
  APPROVAL_EVIDENCES,
  type ApprovalEvidence,
  ERASURE_SCOPES,
  type ErasureScope,
  OPERATOR_ACTIONS,
  type OperatorAction,
} from "./vocabulary.ts";

/** What the action is about; principals and sessions by their keyed hashes. */
export type ActionTarget =
  | { readonly type: "all" }
  | { readonly type: "principal"; readonly id: Hex64 }
  | { readonly type: "session"; readonly key: Hex64 }
  | { readonly type: "server"; readonly server: ServerId }
  | { readonly type: "tool"; readonly server: ServerId; readonly name: CalledName }
  /** `binding`: digest of everything that the approval is bound to. */
  | { readonly type: "approval"; readonly id: string; readonly binding: Hex64 }
  | DisclosureTarget
  | ErasureTarget
  | MandatesTarget;

/** A document about mandates that is in force from here on: its digest, its version, and how many entries it has. */
export type MandatesTarget = {
  readonly type: "mandates";
  readonly file: Digest;
  readonly version: number;
  readonly count: number;
};

/** Receipts of one stream from the first to the last, both included. */
export type SeqRange = { readonly first: number; readonly last: number };

/** What was opened for somebody: tier 2 are fields, tier 3 whole payloads. `file`: SHA-256 of the disclosure file. */
export type DisclosureTarget = {
  readonly type: "disclosure";
  readonly tier: 2 | 3;
  readonly file: Digest;
  readonly stream: Hex64;
  /** Ascending, apart from each other. */
  readonly receipts: readonly SeqRange[];
};

/** Receipts whose secrets were destroyed. */
export type ErasureTarget = {
  readonly type: "erasure";
  readonly scope: ErasureScope;
  readonly stream: Hex64;
  /** Ascending, apart from each other. */
  readonly receipts: readonly SeqRange[];
};

/** Most ranges of one receipt; more are told by another one. */
export const MAX_SEQ_RANGES = 1024;

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

const rangesShape: Shape<readonly SeqRange[]> = mapped(
  array(object<SeqRange>({ first: seqShape, last: seqShape }), { min: 1, max: MAX_SEQ_RANGES }),
  checkRanges,
);

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
  disclosure: object<DisclosureTarget>({
    type: literal("disclosure"),
    tier: literal(2, 3),
    file: digestShape,
    stream: hex64Shape,
    receipts: rangesShape,
  }),
  mandates: object<MandatesTarget>({
    type: literal("mandates"),
    file: digestShape,
    version: integer({ min: 1 }),
    count: integer(),
  }),
  erasure: object<ErasureTarget>({
    type: literal("erasure"),
    scope: literal(...ERASURE_SCOPES),
    stream: hex64Shape,
    receipts: rangesShape,
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

/** The target that an action is about; every other target goes with the other actions. */
const OWN_TARGETS: Readonly<Partial<Record<OperatorAction, ActionTarget["type"]>>> = {
  "approval-granted": "approval",
  "approval-refused": "approval",
  "approval-expired": "approval",
  disclosed: "disclosure",
  erased: "erasure",
  "mandates-revoked": "mandates",
  "mandate-roots-loaded": "mandates",
};

/** Whoever acts was authenticated somehow; its cause lies before it, and so does what was opened or erased. */
function checkAction(receipt: Signed<OperatorActionBody>): Signed<OperatorActionBody> {
  const { by, evidence, action, target, cause, seq, stream } = receipt;
  if ((by.state === "present") !== (evidence.state === "present")) {
    throw new FormatError("ERR_SHAPE", "operator-action: want evidence exactly if somebody acted");
  }
  const isOwned = Object.values(OWN_TARGETS).includes(target.type);
  if (OWN_TARGETS[action] !== (isOwned ? target.type : undefined)) {
    throw new FormatError("ERR_SHAPE", "operator-action: want the target that this action is about");
  }
  checkEarlier(seq, observedSeq(cause));
  if ((target.type === "disclosure" || target.type === "erasure") && target.stream === stream) {
    checkEarlier(
      seq,
      target.receipts.map(({ last }) => last),
    );
  }
  return receipt;
}

function checkRanges(ranges: readonly SeqRange[]): readonly SeqRange[] {
  let next = 0;
  for (const { first, last } of ranges) {
    if (first < next || last < first) {
      throw new FormatError("ERR_SHAPE", "want ranges in ascending order, each with a receipt between it and the next");
    }
    next = last + 2;
  }
  return ranges;
}
