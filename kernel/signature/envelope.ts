/**
 * Signed envelopes (docs/formats/signature.md): a JSON object with `kind` and `signatures`.
 *
 * Signing input = `countersign/<kind>/v1` LF alg LF SHA-256(JCS(body)), body = the object without `signatures`. Kind and
 * algorithm are inside, so a signature serves no other kind of object and no other algorithm.
 */

import { sha256 } from "#crypto";
import { parseBase64 } from "../base64.ts";
import { formatUtf8 } from "../bytes.ts";
import type { Verifier } from "../crypto/primitives.ts";
import { CheckError, FormatError } from "../errors.ts";
import { canonicalBytes, formatCanonical, formatMembers } from "../json/canonical.ts";
import type { JsonObject, JsonValue } from "../json/value.ts";
import { array, base64, literal, mapped, object, type Shape, tagged } from "../shape.ts";
import { spanned } from "../shape-spans.ts";
import { type Alg, type Kid, kidShape, type PublicKey } from "./public-key.ts";
import type { EnvelopeSigner } from "./signer.ts";
import { areOfDistinctKeys, isKind, MAX_SIGNATURES, SIGNATURE_BYTES, signDigest, signedInput } from "./signing.ts";
import { createVerifier } from "./verifier.ts";

/** One signature of an envelope. */
export type Signature = {
  readonly alg: Alg;
  readonly kid: Kid;
  /** Base64 of the signature bytes. */
  readonly sig: string;
};

/** A body and the signatures over it. */
export type Signed<T> = T & { readonly signatures: readonly Signature[] };

/**
 * Checks that an envelope is signed by the one key it was made for.
 *
 * @param bodyHash  SHA-256(JCS(body)) if it is known; otherwise the body is encoded for it
 */
export type EnvelopeChecker = (envelope: JsonObject, bodyHash?: Uint8Array) => void;

const signatureShape: Shape<Signature> = tagged("alg", {
  ed25519: signatureOf("ed25519"),
  es256: signatureOf("es256"),
  "mldsa65-ed25519": signatureOf("mldsa65-ed25519"),
});

/** 1 to 4 signatures of distinct keys, each of its algorithm's length. */
export const signaturesShape: Shape<readonly Signature[]> = spanned(
  mapped(array(signatureShape, { min: 1, max: MAX_SIGNATURES }), (signatures) => {
    if (areOfDistinctKeys(signatures)) return signatures;
    throw new FormatError("ERR_SHAPE", "want signatures of distinct keys");
  }),
);

/**
 * The bytes that `alg` signs for a body of `kind`; a member `signatures` of `body` is left out.
 *
 * @param kind  `[a-z][a-z0-9-]{0,63}`
 * @throws {FormatError} as canonicalBytes
 */
export function signingInput(kind: string, alg: Alg, body: JsonObject): Uint8Array {
  return signedInput(kind, alg, bodyDigest(body));
}

/**
 * `body` signed by each of `signers`, in their order.
 *
 * @param body  without `signatures`, or with ones that are replaced
 * @throws {FormatError} as canonicalBytes
 */
export function signEnvelope<T extends JsonObject & { readonly kind: string }>(
  body: T,
  signers: readonly EnvelopeSigner[],
): Signed<T> {
  return { ...body, signatures: signDigest(body.kind, bodyDigest(body), signers) };
}

/**
 * As `signEnvelope`, with the canonical bytes of the envelope: the body is written once for both.
 *
 * @throws {FormatError} as canonicalBytes
 */
export function signEnvelopeBytes<T extends JsonObject & { readonly kind: string }>(
  body: T,
  signers: readonly EnvelopeSigner[],
): SignedBytes<T> {
  const members = [...formatMembers(body)].filter(([key]) => key !== SIGNATURES);
  const behind = members.findIndex(([key]) => key > SIGNATURES);
  const texts = members.map(([, text]) => text);
  const signatures = signDigest(body.kind, sha256(formatUtf8(`{${texts.join(",")}}`)), signers);
  texts.splice(behind < 0 ? texts.length : behind, 0, `"${SIGNATURES}":${formatCanonical(signatures)}`);
  return { envelope: { ...body, signatures }, bytes: formatUtf8(`{${texts.join(",")}}`) };
}

/** An envelope and its canonical bytes. */
export interface SignedBytes<T> {
  readonly envelope: Signed<T>;
  readonly bytes: Uint8Array;
}

const SIGNATURES = "signatures";

/**
 * Checks that `key` signed the envelope; other signatures in it are read and not judged.
 *
 * @throws {FormatError} ERR_SHAPE if `kind` or `signatures` are not what an envelope has
 * @throws {CheckError} ERR_SIGNATURE_MISSING (none by this key), ERR_SIGNATURE_INVALID
 */
export function checkSignedBy(envelope: JsonObject, key: PublicKey): void {
  makeEnvelopeChecker(key)(envelope);
}

/** `checkSignedBy` with the key imported once. */
export function makeEnvelopeChecker(key: PublicKey): EnvelopeChecker {
  const verify = createVerifier(key);
  return (envelope, bodyHash) => checkEnvelope(envelope, key, verify, bodyHash);
}

function signatureOf(alg: Alg): Shape<Signature> {
  return object<Signature>({ alg: literal(alg), kid: kidShape, sig: base64(SIGNATURE_BYTES[alg]) });
}

function checkEnvelope(envelope: JsonObject, key: PublicKey, verify: Verifier, bodyHash?: Uint8Array): void {
  const { kind, signatures } = envelope;
  if (typeof kind !== "string" || !isKind(kind)) throw new FormatError("ERR_SHAPE", "kind: want the kind of an object");
  const signature = findSignature(signatures ?? null, key.kid);
  if (signature === undefined) throw new CheckError("ERR_SIGNATURE_MISSING", `no signature by the key ${key.kid}`);
  const isValid =
    signature.alg === key.alg &&
    verify(signedInput(kind, key.alg, bodyHash ?? bodyDigest(envelope)), parseBase64(signature.sig));
  if (!isValid) throw new CheckError("ERR_SIGNATURE_INVALID", `the signature by the key ${key.kid} does not hold`);
}

function findSignature(signatures: JsonValue, kid: Kid): Signature | undefined {
  return signaturesShape.read(signatures, "signatures").find((signature) => signature.kid === kid);
}

function bodyDigest(envelope: JsonObject): Uint8Array {
  const { signatures: _, ...body } = envelope;
  return sha256(canonicalBytes(body));
}
