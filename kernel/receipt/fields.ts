/**
 * The small values that receipts are made of. Every string has a pattern and a length: nothing a caller or a server
 * wrote enters a receipt as text, except names that the operator approved into the catalog.
 */

import type { Observed } from "./observed.ts";
import type { ReasonCode } from "./reasons.ts";
import type { Charge, LimitId } from "./vocabulary.ts";

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
  readonly scheme: "countersign/fields/v1" | "countersign/bytes/v1";
  readonly root: Hex64;
};

/** What hardware says about the signing key, in every receipt. A software run says `not_available`. */
export type AttestationField =
  | { readonly state: "present"; readonly ref: Digest }
  | { readonly state: "not_available"; readonly reason: ReasonCode }
  | { readonly state: "not_established"; readonly reason: ReasonCode };

/** The policy bundle in force, and the sealed artifact that wraps it. */
export type PolicyRef = { readonly digest: Digest; readonly version: Version; readonly artifact: Observed<Digest> };

/** The budget that the attempt was counted against. `budget = consumed + reserved + remaining`; all in calls. */
export type Accounting = {
  readonly limit: LimitId;
  readonly charge: Charge;
  readonly budget: number;
  readonly consumed: number;
  readonly reserved: number;
  readonly remaining: number;
};
