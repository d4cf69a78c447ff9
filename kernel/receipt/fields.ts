/**
 * The small values that receipts are made of. Every string has a pattern and a length: nothing a caller or a server
 * wrote enters a receipt as text, except names that the operator approved into the catalog.
 */

import type { CommitmentScheme } from "../commitment.ts";
import { FormatError } from "../errors.ts";
import { array, hex, integer, literal, mapped, object, optional, type Shape, string, tagged } from "../shape.ts";
import { formatPublicKey, type PublicKeyJson, publicKeyShape } from "../signature/public-key.ts";
import { type Observed, observed } from "./observed.ts";
import { type ReasonCode, reasonShape } from "./reasons.ts";
import { CHARGES, type Charge, LIMITS, type LimitId } from "./vocabulary.ts";

/** 64 lower-case hexadecimal digits: a hash, a keyed hash, a Merkle root or a kid. */
export type Hex64 = string;

/** `sha256:` and 64 lower-case hexadecimal digits: the digest of a file, policy, catalog or definition. */
export type Digest = string;

/** Id of a server in the catalog: `[a-z0-9][a-z0-9-]{0,23}`. */
export type ServerId = string;

/** A label of data or of a domain, from catalog or policy: `[a-z0-9][a-z0-9-]{0,31}`. */
export type Label = string;

/** The `@id` of a policy: `[A-Za-z0-9][A-Za-z0-9._:-]{0,63}`. */
export type PolicyId = string;

/** Version of software, rules or policy: `[A-Za-z0-9][A-Za-z0-9.+_-]{0,63}`. */
export type Version = string;

/**
 * JSON Pointer as far as the pinned schema declares it; an undeclared or unprintable member is `*`, since its name is
 * data. `(/[A-Za-z0-9_.$~*-]{1,64}){0,16}`
 */
export type DeclaredPointer = string;

/**
 * A keyed commitment (kernel/commitment.ts). Its secret stays in the gateway's vault; the commitment's name, under
 * which salts are derived, is the member of the receipt that holds it (`request_received`).
 */
export type Commitment = {
  /** How the root is made; roots of two schemes cannot be compared. */
  readonly scheme: CommitmentScheme;
  readonly root: Hex64;
};

/** What hardware says about the signing key, in every receipt. A software run says `not_available`. */
export type AttestationField =
  | { readonly state: "present"; readonly ref: Digest }
  | { readonly state: "not_available"; readonly reason: ReasonCode }
  | { readonly state: "not_established"; readonly reason: ReasonCode };

/** The policy bundle in force, and the sealed artifact that wraps it. */
export type PolicyRef = {
  readonly digest: Digest;
  readonly version: Version;
  readonly artifact: Observed<Digest>;
  /** The narrower artifact of the agent or session, if there is one. */
  readonly session_artifact?: Digest;
};

/** The budget that the attempt was counted against. `budget = consumed + reserved + remaining`; all in calls, or in bytes where the limit says so. */
export type Accounting = {
  readonly limit: LimitId;
  readonly charge: Charge;
  readonly budget: number;
  readonly consumed: number;
  readonly reserved: number;
  readonly remaining: number;
};

/** Most items of the short lists in a receipt: policies, labels, reasons. */
export const MAX_NAMES = 32;

export const hex64Shape: Shape<Hex64> = hex(32);
export const digestShape: Shape<Digest> = string({
  pattern: /^sha256:[0-9a-f]{64}$/u,
  maxLength: 71,
  description: "sha256: and 64 lower-case hexadecimal digits",
});
export const serverIdShape: Shape<ServerId> = string({ pattern: /^[a-z0-9][a-z0-9-]{0,23}$/u, maxLength: 24 });
export const labelShape: Shape<Label> = string({ pattern: /^[a-z0-9][a-z0-9-]{0,31}$/u, maxLength: 32 });
export const labelsShape: Shape<readonly Label[]> = array(labelShape, { max: MAX_NAMES });
export const policyIdShape: Shape<PolicyId> = string({
  pattern: /^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$/u,
  maxLength: 64,
});
export const versionShape: Shape<Version> = string({ pattern: /^[A-Za-z0-9][A-Za-z0-9.+_-]{0,63}$/u, maxLength: 64 });
export const declaredPointerShape: Shape<DeclaredPointer> = string({
  pattern: /^(?:\/[A-Za-z0-9_.$~*-]{1,64}){0,16}$/u,
  maxLength: 1040,
});
/** The `seq` of a receipt of the stream. */
export const seqShape: Shape<number> = integer();
/** A list of distinct `seq`, ascending. */
export const seqsShape: Shape<readonly number[]> = mapped(array(seqShape, { max: 256 }), (seqs) => {
  if (seqs.every((seq, i) => i === 0 || seq > (seqs[i - 1] ?? seq))) return seqs;
  throw new FormatError("ERR_SHAPE", "want ascending sequence numbers");
});
/** A public key, guarded, kept as JSON. */
export const publicKeyJsonShape: Shape<PublicKeyJson> = mapped(publicKeyShape, formatPublicKey);

export const commitmentShape: Shape<Commitment> = object<Commitment>({
  scheme: literal("countersign/fields/v1", "countersign/bytes/v1"),
  root: hex64Shape,
});

export const attestationShape: Shape<AttestationField> = tagged("state", {
  present: object<{ readonly state: "present"; readonly ref: Digest }>({ state: literal("present"), ref: digestShape }),
  not_available: object<{ readonly state: "not_available"; readonly reason: ReasonCode }>({
    state: literal("not_available"),
    reason: reasonShape,
  }),
  not_established: object<{ readonly state: "not_established"; readonly reason: ReasonCode }>({
    state: literal("not_established"),
    reason: reasonShape,
  }),
});

export const policyRefShape: Shape<PolicyRef> = object<PolicyRef>({
  digest: digestShape,
  version: versionShape,
  artifact: observed(digestShape),
  session_artifact: optional(digestShape),
});

export const accountingShape: Shape<Accounting> = mapped(
  object<Accounting>({
    limit: literal(...LIMITS),
    charge: literal(...CHARGES),
    budget: integer(),
    consumed: integer(),
    reserved: integer(),
    remaining: integer(),
  }),
  (line) => {
    if (line.budget === line.consumed + line.reserved + line.remaining) return line;
    throw new FormatError("ERR_SHAPE", "want budget = consumed + reserved + remaining");
  },
);
