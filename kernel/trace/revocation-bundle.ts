/**
 * Bundles of revocations (TRACE v0.2, `TraceRevocationBundle/1.0`): what an issuer knew to be revoked at a time, signed as a
 * whole, so that "nothing is revoked" is a statement too.
 *
 *     {bundle_key_id, issued_at, log_id, sig: {alg, value}, statements: [TraceRevocation/1.0 …], type, valid_until}
 *
 * The signature is over JCS without `sig`. Two bounds limit its age and the tighter wins: `valid_until`, and the caller's own
 * from `issued_at`; both inclusive. No bundle is no check, whatever keys are configured.
 */

import { sha256 } from "#crypto";
import { CheckError, FormatError } from "../errors.ts";
import { formatHex } from "../hex.ts";
import { canonicalBytes } from "../json/canonical.ts";
import type { JsonObject } from "../json/value.ts";
import { array, integer, literal, object, readShape, type Shape, string } from "../shape.ts";
import type { PublicKey } from "../signature/public-key.ts";
import { checkDetached, jwkThumbprint } from "./record-key.ts";
import { checkRevocation, revocationShape, type TraceRevocation } from "./revocation.ts";

/** A bundle. Times are POSIX seconds. */
export type TraceRevocationBundle = {
  readonly type: "TraceRevocationBundle/1.0";
  readonly log_id: string;
  readonly issued_at: number;
  readonly valid_until: number;
  readonly statements: readonly TraceRevocation[];
  readonly bundle_key_id: string;
  readonly sig: { readonly alg: string; readonly value: string };
};

/** Value of `type`. */
export const REVOCATION_BUNDLE_TYPE = "TraceRevocationBundle/1.0";

/** How old a bundle may be, and how far ahead its issuer's clock. */
export interface BundleBounds {
  readonly nowSeconds: number;
  readonly maxAgeSeconds: number;
  readonly maxFutureSkewSeconds: number;
}

/** Why a bundle says nothing about revocation. */
export type BundleCause =
  | "bundle_malformed"
  | "bundle_key_untrusted"
  | "bundle_signature_unsupported"
  | "bundle_signature_invalid"
  | "bundle_issued_in_future"
  | "bundle_expired";

/** Which bound an expired bundle has passed. */
export type TrippedBound = "issuer" | "deployment" | "both";

/** What a bundle is worth to a caller. */
export type BundleStanding =
  | { readonly outcome: "verified"; readonly digest: string; readonly bundle: TraceRevocationBundle }
  | {
      readonly outcome: "unverified_for_revocation";
      readonly cause: BundleCause;
      /** Absent of a malformed bundle. */
      readonly digest?: string;
      readonly tripped?: TrippedBound;
    }
  | { readonly outcome: "no_check_performed" };

const MAX_STATEMENTS = 10_000;
const text = string({ pattern: /^.+$/su, maxLength: 4096, description: "a text" });

const bundleShape: Shape<TraceRevocationBundle> = object<TraceRevocationBundle>({
  type: literal(REVOCATION_BUNDLE_TYPE),
  log_id: text,
  issued_at: integer(),
  valid_until: integer(),
  statements: array(revocationShape, { max: MAX_STATEMENTS }),
  bundle_key_id: text,
  sig: object<TraceRevocationBundle["sig"]>({ alg: literal("ed25519", "ES256", "ES384"), value: text }),
});

/**
 * Reads a bundle.
 *
 * @throws {FormatError} ERR_SHAPE; ERR_TRACE_DOCUMENT if a statement is about another log
 */
export function readRevocationBundle(value: JsonObject): TraceRevocationBundle {
  const bundle = readShape(bundleShape, value, "bundle");
  if (bundle.statements.every(({ log_id }) => log_id === bundle.log_id)) return bundle;
  throw new FormatError("ERR_TRACE_DOCUMENT", "statements: want the bundle's log_id in each");
}

/**
 * Checks a bundle for a log: its own signature and that of every statement, each under a key that may revoke.
 *
 * @throws {CheckError} ERR_REVOCATION_KEY, ERR_SIGNATURE_INVALID
 * @throws {FormatError} ERR_BASE64
 */
export function checkRevocationBundle(bundle: TraceRevocationBundle, keys: readonly PublicKey[]): void {
  const key = keyOf(bundle.bundle_key_id, keys);
  if (key === undefined) throw refuse("the bundle names a key that is not known");
  if (!isSupported(bundle, key)) throw refuse(`alg ${bundle.sig.alg} is not that of the bundle's key`);
  const { sig, ...signed } = bundle;
  checkDetached(signed, sig.value, key);
  for (const statement of bundle.statements) {
    const signer = keyOf(statement.revocation_key_id, keys);
    if (signer === undefined) throw refuse("a statement names a key that is not known");
    checkRevocation(statement, signer);
  }
}

/**
 * What a bundle is worth at a time.
 *
 * @param value  the parsed bundle, or undefined if there is none
 * @param keys  keys whose bundles the caller trusts
 */
export function judgeRevocationBundle(
  value: JsonObject | undefined,
  keys: readonly PublicKey[],
  bounds: BundleBounds,
): BundleStanding {
  if (value === undefined) return { outcome: "no_check_performed" };
  const bundle = readOrNothing(value);
  if (bundle === undefined) return { outcome: "unverified_for_revocation", cause: "bundle_malformed" };
  const digest = `sha256:${formatHex(sha256(canonicalBytes(value)))}`;
  const unverified = (cause: BundleCause, more: { readonly tripped?: TrippedBound } = {}): BundleStanding => ({
    outcome: "unverified_for_revocation",
    cause,
    digest,
    ...more,
  });
  // SPEC trace §7.2: in this order, and the first fault decides.
  const key = keyOf(bundle.bundle_key_id, keys);
  if (key === undefined) return unverified("bundle_key_untrusted");
  if (!isSupported(bundle, key)) return unverified("bundle_signature_unsupported");
  if (!isSigned(bundle, key)) return unverified("bundle_signature_invalid");
  if (bundle.issued_at > bounds.nowSeconds + bounds.maxFutureSkewSeconds) return unverified("bundle_issued_in_future");
  const tripped = trippedBound(bundle, bounds);
  return tripped === undefined ? { outcome: "verified", digest, bundle } : unverified("bundle_expired", { tripped });
}

function trippedBound(bundle: TraceRevocationBundle, bounds: BundleBounds): TrippedBound | undefined {
  const isPastIssuers = bounds.nowSeconds > bundle.valid_until;
  const isPastOurs = bounds.nowSeconds - bundle.issued_at > bounds.maxAgeSeconds;
  if (isPastIssuers) return isPastOurs ? "both" : "issuer";
  return isPastOurs ? "deployment" : undefined;
}

function readOrNothing(value: JsonObject): TraceRevocationBundle | undefined {
  try {
    return readRevocationBundle(value);
  } catch (error) {
    if (error instanceof FormatError) return undefined;
    throw error;
  }
}

function keyOf(id: string, keys: readonly PublicKey[]): PublicKey | undefined {
  return keys.find((key) => jwkThumbprint(key) === id);
}

function isSupported({ sig }: TraceRevocationBundle, { alg }: PublicKey): boolean {
  return (sig.alg === "ed25519" && alg === "ed25519") || (sig.alg === "ES256" && alg === "es256");
}

function isSigned({ sig, ...signed }: TraceRevocationBundle, key: PublicKey): boolean {
  try {
    checkDetached(signed, sig.value, key);
    return true;
  } catch (error) {
    if (error instanceof CheckError || error instanceof FormatError) return false;
    throw error;
  }
}

function refuse(why: string): CheckError {
  return new CheckError("ERR_REVOCATION_KEY", `revocation bundle: ${why}`);
}
