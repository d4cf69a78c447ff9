/** Who asks, on whose behalf, in which session and workflow; names of people appear as keyed hashes only. */

import type { Timestamp } from "../time.ts";
import type { Digest, Hex64, ServerId } from "./fields.ts";
import type { Observed } from "./observed.ts";
import type {
  ApprovalEvidence,
  Binding,
  IdentityOutcome,
  Provenance,
  SessionSource,
  SessionTrust,
} from "./vocabulary.ts";

/** A principal: its issuer as configured (`local` for local users), and HMAC of its name under the gateway's vault key. */
export type Principal = { readonly issuer: string; readonly id: Hex64 };

/** An actor or a subject with its provenance and what checking it found. */
export type Identity = {
  readonly issuer: string;
  readonly id: Hex64;
  readonly provenance: Provenance;
  readonly outcome: IdentityOutcome;
  readonly binding: Binding;
};

/** What one hop of a delegation may do; each hop is at most as wide as the one before in every member. */
export type DelegationScope = {
  /** `<server id>/<tool>`, or `<server id>/*`; sorted, at most 32. */
  readonly tools: readonly `${ServerId}/${string}`[];
  /** Keyed hashes of resource prefixes, sorted, at most 32. */
  readonly resources: readonly Hex64[];
  readonly not_after: Timestamp;
  /** How many further hops may follow. */
  readonly depth: number;
};

/** One hop; `link` = SHA-256(JCS({delegator, delegate, scope, previous})), `previous` the link before or null. */
export type DelegationHop = {
  readonly delegator: Hex64;
  readonly delegate: Hex64;
  readonly scope: DelegationScope;
  readonly link: Hex64;
};

/** The whole chain from the principal to the actor, outermost first, at most 8 hops. */
export type Delegation = {
  readonly hops: readonly DelegationHop[];
  /** Correlation key of the subtree, minted by the gateway that saw the first hop. */
  readonly correlation: Hex64;
};

/** A session; `id` is minted by the gateway, `key` is a keyed hash of what the session was resolved from. */
export type Session = {
  /** UUID, lower case. */
  readonly id: string;
  readonly key: Hex64;
  readonly source: SessionSource;
  readonly trust: SessionTrust;
};

/** A session and the place of a call in it, from 0. */
export type SessionPlace = Session & { readonly session_seq: number };

/** A workflow from a token that the gateway issued or a claim it verified; never the agent's own word. */
export type Workflow = {
  /** `[A-Za-z0-9][A-Za-z0-9._-]{0,63}` */
  readonly id: string;
  readonly provenance: "workflow-token" | "token-claim";
  /** Digest of the signed scope. */
  readonly scope: Digest;
};

/** The approval that lifted a deny. */
export type Approval = {
  /** 32 lower-case hexadecimal digits. */
  readonly id: string;
  readonly evidence: ApprovalEvidence;
  readonly approver: Observed<Principal>;
  /** Digest of everything the approval is bound to. */
  readonly binding: Hex64;
};
