/**
 * Mandates (docs/formats/mandate.md): a key holder lets another party act in a part of what it may do itself. Each names
 * the bytes of the one before, so a chain cannot lose a hop, and is signed by the key that the one before gave it to.
 */

import { sha256 } from "#crypto";
import { CheckError, FormatError } from "../errors.ts";
import { formatHex } from "../hex.ts";
import { canonicalBytes, parseCanonical } from "../json/canonical.ts";
import { type Hex64, hex64Shape, publicKeyJsonShape } from "../receipt/fields.ts";
import { issuerShape } from "../receipt/identity.ts";
import { integer, literal, mapped, nullable, object, readShape, type Shape, string, timestamp } from "../shape.ts";
import { checkSignedBy, type Signed, signaturesShape, signEnvelope } from "../signature/envelope.ts";
import { formatPublicKey, type PublicKey, type PublicKeyJson, publicKeyShape } from "../signature/public-key.ts";
import type { EnvelopeSigner } from "../signature/signer.ts";
import type { Timestamp } from "../time.ts";
import { type MandateScope, mandateScopeShape } from "./mandate-scope.ts";

/** Somebody whom an issuer of credentials knows by this name. */
export type MandateParty = { readonly issuer: string; readonly name: string };

/** Who may act: the party, and the key by which it may pass a part on; null if it may not. */
export type MandateHolder = MandateParty & { readonly key: PublicKeyJson | null };

/** Body of a mandate. */
export type MandateBody = {
  readonly kind: "mandate";
  readonly v: 1;
  /** SHA-256 of the bytes of the mandate before; null for the first. */
  readonly parent: Hex64 | null;
  /** The key that signs: of the root's trust for the first, of the holder before for every other. */
  readonly issuer_key: PublicKeyJson;
  readonly holder: MandateHolder;
  readonly scope: MandateScope;
  readonly not_before: Timestamp;
  readonly not_after: Timestamp;
  /** How many further hops may follow. */
  readonly depth: number;
};

/** A mandate with the signature of its issuer key, and of nobody else. */
export type Mandate = Signed<MandateBody>;

/** Most bytes of one mandate. */
export const MAX_MANDATE_BYTES = 16_384;

/** Most mandates of a chain: what a receipt holds. */
export const MAX_CHAIN = 8;

const name: Shape<string> = string({
  pattern: /^[^\p{Cc}]{1,255}$/u,
  maxLength: 255,
  description: "a name",
});

const mandateShape: Shape<Mandate> = mapped(
  object<Mandate>({
    kind: literal("mandate"),
    v: literal(1),
    parent: nullable(hex64Shape),
    issuer_key: publicKeyJsonShape,
    holder: object<MandateHolder>({ issuer: issuerShape, name, key: nullable(publicKeyJsonShape) }),
    scope: mandateScopeShape,
    not_before: timestamp(),
    not_after: timestamp(),
    depth: integer({ max: MAX_CHAIN }),
    signatures: signaturesShape,
  }),
  (mandate) => {
    if (mandate.signatures.length !== 1) throw new FormatError("ERR_SHAPE", "want one signature");
    if (mandate.not_before < mandate.not_after) return mandate;
    throw new FormatError("ERR_SHAPE", "want not_before in front of not_after");
  },
);

/** A mandate whose signature holds. */
export interface CheckedMandate {
  readonly mandate: Mandate;
  /** SHA-256 of its bytes: what the next one names. */
  readonly hash: Hex64;
  readonly issuerKey: PublicKey;
}

/**
 * Reads a mandate and checks its signature; whether anybody trusts the key is the chain's question.
 *
 * @param bytes  canonical JSON
 * @throws {FormatError} ERR_JSON_*, ERR_SHAPE
 * @throws {CheckError} ERR_KEY_INVALID, ERR_KEY_WEAK, ERR_MANDATE_BROKEN (the signature does not hold)
 */
export function parseMandate(bytes: Uint8Array): CheckedMandate {
  const mandate = readShape(mandateShape, parseCanonical(bytes, { maxBytes: MAX_MANDATE_BYTES }), "mandate");
  const issuerKey = publicKeyShape.read(mandate.issuer_key, "mandate.issuer_key");
  try {
    checkSignedBy(mandate, issuerKey);
  } catch (cause) {
    if (!(cause instanceof CheckError)) throw cause;
    throw new CheckError("ERR_MANDATE_BROKEN", "a mandate is not signed by the key that it names", { cause });
  }
  return { mandate, hash: formatHex(sha256(bytes)), issuerKey };
}

/** Bytes of a new mandate. */
export function signMandate(body: Omit<MandateBody, "kind" | "v" | "issuer_key">, issuer: EnvelopeSigner): Uint8Array {
  const whole: MandateBody = { kind: "mandate", v: 1, issuer_key: formatPublicKey(issuer.publicKey), ...body };
  const bytes = canonicalBytes(signEnvelope(whole, [issuer]));
  // Nothing leaves that we would refuse ourselves.
  readShape(mandateShape, parseCanonical(bytes, { maxBytes: MAX_MANDATE_BYTES }), "mandate");
  return bytes;
}
