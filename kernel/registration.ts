/** Registration: a gateway's keys ask for admission to a log. Signed by both keys; logged exactly as submitted. */

import { FormatError } from "./errors.ts";
import { canonicalBytes, parseCanonical } from "./json/canonical.ts";
import type { JsonValue } from "./json/value.ts";
import { publicKeyJsonShape } from "./receipt/fields.ts";
import { originShape } from "./receipt/stream-open.ts";
import { literal, object, optional, readShape, type Shape, string, timestamp } from "./shape.ts";
import { type Signed, signaturesShape, signEnvelope } from "./signature/envelope.ts";
import { formatPublicKey, type PublicKeyJson } from "./signature/public-key.ts";
import type { EnvelopeSigner } from "./signature/signer.ts";
import { checkCertificate, type StreamKeys } from "./stream/stream-keys.ts";
import type { Timestamp } from "./time.ts";

/** Body of a registration. */
export type RegistrationBody = {
  readonly kind: "registration";
  readonly v: 1;
  readonly origin: string;
  readonly instance_key: PublicKeyJson;
  readonly receipt_key: PublicKeyJson;
  /** What speaks for the instance key. */
  readonly evidence: { readonly type: "software" };
  /** A name for people: `[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}`. It proves nothing. */
  readonly label?: string;
  readonly time: Timestamp;
};

/** A registration with the signatures of the instance key and the receipt key. */
export type Registration = Signed<RegistrationBody>;

/** Most bytes of a registration: one entry of a log. */
const MAX_REGISTRATION_BYTES = 65_535;

const registrationShape: Shape<Registration> = object<Registration>({
  kind: literal("registration"),
  v: literal(1),
  origin: originShape,
  instance_key: publicKeyJsonShape,
  receipt_key: publicKeyJsonShape,
  evidence: object<RegistrationBody["evidence"]>({ type: literal("software") }),
  label: optional(string({ pattern: /^[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}$/u, maxLength: 64 })),
  time: timestamp(),
  signatures: signaturesShape,
});

/** A registration whose two signatures hold, with the keys that it admits. */
export interface CheckedRegistration {
  readonly registration: Registration;
  readonly keys: StreamKeys;
}

/**
 * Reads a registration and checks that exactly its two keys signed it. Whether the log admits them is the log's policy.
 *
 * @param bytes  canonical JSON
 * @throws {FormatError} ERR_ENTRY_LENGTH, ERR_JSON_*, ERR_SHAPE
 * @throws {CheckError} ERR_KEY_INVALID, ERR_KEY_WEAK, ERR_STREAM_KEY, ERR_SIGNATURE_INVALID
 */
export function parseRegistration(bytes: Uint8Array): CheckedRegistration {
  if (bytes.length > MAX_REGISTRATION_BYTES) {
    throw new FormatError("ERR_ENTRY_LENGTH", `want at most ${MAX_REGISTRATION_BYTES} bytes, got ${bytes.length}`);
  }
  return readRegistration(parseCanonical(bytes));
}

/** `parseRegistration` of a value that was parsed from canonical bytes. */
export function readRegistration(value: JsonValue): CheckedRegistration {
  const registration = readShape(registrationShape, value, "registration");
  return { registration, keys: checkCertificate(registration) };
}

/** Entry bytes of a registration. */
export function signRegistration(
  body: Omit<RegistrationBody, "instance_key" | "receipt_key">,
  instance: EnvelopeSigner,
  receipt: EnvelopeSigner,
): Uint8Array {
  const keys = { instance_key: formatPublicKey(instance.publicKey), receipt_key: formatPublicKey(receipt.publicKey) };
  return canonicalBytes(signEnvelope({ ...body, ...keys }, [instance, receipt]));
}
