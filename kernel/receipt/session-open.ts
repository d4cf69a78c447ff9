/** Session-open receipt: the first call of a session is about to be decided. */

import type { Label } from "./fields.ts";
import type { StreamHeader } from "./header.ts";
import type { Principal, Session, Workflow } from "./identity.ts";
import type { Observed } from "./observed.ts";

/** Body of a session-open receipt. */
export type SessionOpenBody = StreamHeader & {
  readonly kind: "session-open";
  readonly session: Session;
  readonly principal: Observed<Principal>;
  readonly workflow: Observed<Workflow>;
  /** Labels that the session starts with, carried over from the principal. */
  readonly taint: Observed<readonly Label[]>;
};
