/** Refusals receipt: under a flood, refusals of one principal for one reason are counted instead of written one by one. */

import type { Timestamp } from "../time.ts";
import type { StreamHeader } from "./header.ts";
import type { Principal } from "./identity.ts";
import type { Observed } from "./observed.ts";
import type { ReasonCode } from "./reasons.ts";
import type { Step } from "./vocabulary.ts";

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
