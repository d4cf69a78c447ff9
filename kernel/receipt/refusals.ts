/** Refusals receipt: under a flood, refusals of one principal for one reason are counted instead of written one by one. */

import { FormatError } from "../errors.ts";
import { integer, literal, mapped, object, type Shape, timestamp } from "../shape.ts";
import { type Signed, signaturesShape } from "../signature/envelope.ts";
import type { Timestamp } from "../time.ts";
import { headerMembers, type StreamHeader } from "./header.ts";
import { type Principal, principalShape } from "./identity.ts";
import { type Observed, observed } from "./observed.ts";
import { type ReasonCode, reasonShape } from "./reasons.ts";
import { STEPS, type Step } from "./vocabulary.ts";

/** Body of an aggregate of refusals, none of which has a receipt of its own. */
export type RefusalsBody = StreamHeader & {
  readonly kind: "refusals";
  /** Exact, at least 1. */
  readonly count: number;
  readonly principal: Observed<Principal>;
  readonly step: Step;
  readonly reason: ReasonCode;
  /** Times of the first and the last of them. */
  readonly from: Timestamp;
  readonly to: Timestamp;
};

export const refusalsShape: Shape<Signed<RefusalsBody>> = mapped(
  object<Signed<RefusalsBody>>({
    ...headerMembers,
    kind: literal("refusals"),
    count: integer({ min: 1 }),
    principal: observed(principalShape),
    step: literal(...STEPS),
    reason: reasonShape,
    from: timestamp(),
    to: timestamp(),
    signatures: signaturesShape,
  }),
  (receipt) => {
    if (receipt.from <= receipt.to) return receipt;
    throw new FormatError("ERR_SHAPE", "refusals: want from not after to");
  },
);
