/** Session-open receipt: the first call of a session is about to be decided. */

import { literal, object, optional, type Shape } from "../shape.ts";
import { type Signed, signaturesShape } from "../signature/envelope.ts";
import { type Digest, digestShape, type Label, labelsShape } from "./fields.ts";
import { headerMembers, type StreamHeader } from "./header.ts";
import {
  type Principal,
  principalShape,
  type Session,
  sessionShape,
  type Workflow,
  workflowShape,
} from "./identity.ts";
import { type Observed, observed } from "./observed.ts";

/** Body of a session-open receipt. */
export type SessionOpenBody = StreamHeader & {
  readonly kind: "session-open";
  readonly session: Session;
  readonly principal: Observed<Principal>;
  readonly workflow: Observed<Workflow>;
  /** Labels that the session starts with, carried over from the principal. */
  readonly taint: Observed<readonly Label[]>;
  /** The session artifact that binds it when it is opened, if one does. */
  readonly session_artifact?: Digest;
};

export const sessionOpenShape: Shape<Signed<SessionOpenBody>> = object<Signed<SessionOpenBody>>({
  ...headerMembers,
  kind: literal("session-open"),
  session: sessionShape,
  principal: observed(principalShape),
  workflow: observed(workflowShape),
  taint: observed(labelsShape),
  session_artifact: optional(digestShape),
  signatures: signaturesShape,
});
