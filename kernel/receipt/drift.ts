/** Drift receipt: a server's surface was listed again, and how it differs from the approved one (perhaps nowhere). */

import { FormatError } from "../errors.ts";
import { array, integer, literal, mapped, object, type Shape } from "../shape.ts";
import { type Signed, signaturesShape } from "../signature/envelope.ts";
import { type Digest, digestShape, type ServerId, serverIdShape } from "./fields.ts";
import { headerMembers, type StreamHeader } from "./header.ts";
import { type Finding, findingsShape } from "./inspection.ts";
import { type Observed, observed } from "./observed.ts";
import { type CalledName, calledNameShape } from "./target.ts";
import {
  DEFINITION_MEMBERS,
  type DefinitionMember,
  DRIFT_ACTIONS,
  DRIFT_CHANGES,
  DRIFT_SUBJECTS,
  DRIFT_TRIGGERS,
  type DriftAction,
  type DriftChange,
  type DriftSubject,
  type DriftTrigger,
  MODES,
  type Mode,
} from "./vocabulary.ts";

/** One difference. `before` and `after` are the `model` digests (`full` for a cosmetic change). */
export type DriftItem = {
  readonly subject: DriftSubject;
  /** Name in the approved catalog; a new name as a commitment; `absent` for instructions, capabilities and the server. */
  readonly name: Observed<CalledName>;
  readonly change: DriftChange;
  readonly before: Observed<Digest>;
  readonly after: Observed<Digest>;
  readonly members: readonly DefinitionMember[];
  readonly action: DriftAction;
};

/** Body of a drift receipt. */
export type DriftBody = StreamHeader & {
  readonly kind: "drift";
  readonly server: ServerId;
  readonly trigger: DriftTrigger;
  readonly mode: Mode;
  /** Surface digest as approved, and as listed now (`not_established` if the list was not answered). */
  readonly approved: Digest;
  readonly listed: Observed<Digest>;
  /** At most 64; `more` counts the rest. */
  readonly items: readonly DriftItem[];
  readonly more: number;
  /** Findings in the new definitions, at most 64. */
  readonly findings: readonly Finding[];
};

const itemShape: Shape<DriftItem> = mapped(
  object<DriftItem>({
    subject: literal(...DRIFT_SUBJECTS),
    name: observed(calledNameShape),
    change: literal(...DRIFT_CHANGES),
    before: observed(digestShape),
    after: observed(digestShape),
    members: array(literal(...DEFINITION_MEMBERS), { max: DEFINITION_MEMBERS.length }),
    action: literal(...DRIFT_ACTIONS),
  }),
  checkItem,
);

export const driftShape: Shape<Signed<DriftBody>> = object<Signed<DriftBody>>({
  ...headerMembers,
  kind: literal("drift"),
  server: serverIdShape,
  trigger: literal(...DRIFT_TRIGGERS),
  mode: literal(...MODES),
  approved: digestShape,
  listed: observed(digestShape),
  items: array(itemShape, { max: 64 }),
  more: integer(),
  findings: findingsShape,
  signatures: signaturesShape,
});

/** What was added was not there before, and what was removed is not there now. */
function checkItem(item: DriftItem): DriftItem {
  const isPossible =
    (item.change !== "added" || item.before.state === "absent") &&
    (item.change !== "removed" || item.after.state === "absent");
  if (isPossible) return item;
  throw new FormatError("ERR_SHAPE", "want no digest before an addition and none after a removal");
}
