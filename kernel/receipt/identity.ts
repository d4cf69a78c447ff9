/** Who asks, on whose behalf, in which session and workflow; names of people appear as keyed hashes only. */

import { FormatError } from "../errors.ts";
import { array, hex, integer, literal, mapped, object, optional, type Shape, string, timestamp } from "../shape.ts";
import type { Timestamp } from "../time.ts";
import { type Digest, digestShape, type Hex64, hex64Shape, MAX_NAMES, seqShape } from "./fields.ts";
import { type Observed, observed } from "./observed.ts";
import {
  APPROVAL_EVIDENCES,
  APPROVAL_NOTICES,
  type ApprovalEvidence,
  type ApprovalNotice,
  BINDINGS,
  type Binding,
  IDENTITY_OUTCOMES,
  type IdentityOutcome,
  PROVENANCES,
  type Provenance,
  SESSION_SOURCES,
  SESSION_TRUSTS,
  type SessionSource,
  type SessionTrust,
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
  readonly tools: readonly string[];
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

/** The approval that a call waits for, or that lifted a deny. */
export type Approval = {
  /** 32 lower-case hexadecimal digits. */
  readonly id: string;
  readonly evidence: ApprovalEvidence;
  readonly approver: Observed<Principal>;
  /** Digest of everything the approval is bound to. */
  readonly binding: Hex64;
  /** How people were told of it until then, sorted, each once; older receipts do not say. */
  readonly notified?: readonly ApprovalNotice[];
};

/** Issuer of credentials, as it stands in receipts. */
export const issuerShape: Shape<string> = string({ pattern: /^[A-Za-z0-9][A-Za-z0-9.:/_-]{0,199}$/u, maxLength: 200 });
/** `<server id>/<tool>` or `<server id>/*`. */
export const scopedToolShape: Shape<string> = string({
  pattern: /^[a-z0-9][a-z0-9-]{0,23}\/(?:\*|[A-Za-z0-9_./-]{1,128})$/u,
  maxLength: 153,
});

export const principalShape: Shape<Principal> = object<Principal>({ issuer: issuerShape, id: hex64Shape });

export const identityShape: Shape<Identity> = object<Identity>({
  issuer: issuerShape,
  id: hex64Shape,
  provenance: literal(...PROVENANCES),
  outcome: literal(...IDENTITY_OUTCOMES),
  binding: literal(...BINDINGS),
});

const hopShape: Shape<DelegationHop> = object<DelegationHop>({
  delegator: hex64Shape,
  delegate: hex64Shape,
  scope: object<DelegationScope>({
    tools: array(scopedToolShape, { max: MAX_NAMES }),
    resources: array(hex64Shape, { max: MAX_NAMES }),
    not_after: timestamp(),
    depth: integer({ max: 8 }),
  }),
  link: hex64Shape,
});

export const delegationShape: Shape<Delegation> = object<Delegation>({
  hops: array(hopShape, { min: 1, max: 8 }),
  correlation: hex64Shape,
});

/** UUID, lower case. */
export const sessionIdShape: Shape<string> = string({
  pattern: /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/u,
  maxLength: 36,
  description: "a lower-case UUID",
});

export const sessionShape: Shape<Session> = object<Session>({
  id: sessionIdShape,
  key: hex64Shape,
  source: literal(...SESSION_SOURCES),
  trust: literal(...SESSION_TRUSTS),
});

export const sessionPlaceShape: Shape<SessionPlace> = object<SessionPlace>({
  id: sessionIdShape,
  key: hex64Shape,
  source: literal(...SESSION_SOURCES),
  trust: literal(...SESSION_TRUSTS),
  session_seq: seqShape,
});

export const workflowShape: Shape<Workflow> = object<Workflow>({
  id: string({ pattern: /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/u, maxLength: 64 }),
  provenance: literal("workflow-token", "token-claim"),
  scope: digestShape,
});

export const approvalShape: Shape<Approval> = object<Approval>({
  id: hex(16),
  evidence: literal(...APPROVAL_EVIDENCES),
  approver: observed(principalShape),
  binding: hex64Shape,
  notified: optional(mapped(array(literal(...APPROVAL_NOTICES), { min: 1 }), checkNotices)),
});

function checkNotices(notices: readonly ApprovalNotice[]): readonly ApprovalNotice[] {
  const isSorted = notices.every((notice, at) => at === 0 || (notices[at - 1] ?? "") < notice);
  if (isSorted) return notices;
  throw new FormatError("ERR_SHAPE", "approval.notified: want notices sorted and each once");
}
