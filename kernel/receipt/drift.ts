/** Drift receipt: a server's surface was listed again, and how it differs from the approved one (perhaps nowhere). */

import type { Digest, ServerId } from "./fields.ts";
import type { StreamHeader } from "./header.ts";
import type { Finding } from "./inspection.ts";
import type { Observed } from "./observed.ts";
import type { CalledName } from "./target.ts";
import type { DefinitionMember, DriftAction, DriftChange, DriftSubject, DriftTrigger, Mode } from "./vocabulary.ts";

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
