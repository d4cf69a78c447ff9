/**
 * Reserved names of trust records, as entries of the log:
 *
 *     name-reservation   a stream's receipt key takes a name of 128 random bits until a time
 *     name-expiry        the log's operator ends a reservation that nothing filled
 *
 * Between the two indexes only a record of that stream can take the name, and behind the second none: "reserved, never
 * filled" is then a fact of log order.
 */

import { canonicalBytes, parseCanonical } from "../json/canonical.ts";
import { originShape } from "../receipt/stream-open.ts";
import { integer, literal, object, readShape, type Shape, string, timestamp } from "../shape.ts";
import { checkSignedBy, type Signed, signaturesShape, signEnvelope } from "../signature/envelope.ts";
import { type Kid, kidShape, type PublicKey } from "../signature/public-key.ts";
import type { EnvelopeSigner } from "../signature/signer.ts";
import type { Timestamp } from "../time.ts";

/** Body of a reservation. */
export type NameReservationBody = {
  readonly kind: "name-reservation";
  readonly v: 1;
  readonly origin: string;
  readonly stream: Kid;
  /** 32 lower-case hexadecimal digits, drawn at random by the stream. */
  readonly name: string;
  readonly time: Timestamp;
  /** From this time on, by the log's clock, the name cannot be filled. */
  readonly expires: Timestamp;
};

/** Body of an expiry. */
export type NameExpiryBody = {
  readonly kind: "name-expiry";
  readonly v: 1;
  readonly origin: string;
  readonly name: string;
  /** Index of the reservation. */
  readonly reserved_index: number;
  readonly time: Timestamp;
};

const nameShape = string({ pattern: /^[0-9a-f]{32}$/u, maxLength: 32, description: "a name of 32 hexadecimal digits" });

const reservationShape: Shape<Signed<NameReservationBody>> = object<Signed<NameReservationBody>>({
  kind: literal("name-reservation"),
  v: literal(1),
  origin: originShape,
  stream: kidShape,
  name: nameShape,
  time: timestamp(),
  expires: timestamp(),
  signatures: signaturesShape,
});

const expiryShape: Shape<Signed<NameExpiryBody>> = object<Signed<NameExpiryBody>>({
  kind: literal("name-expiry"),
  v: literal(1),
  origin: originShape,
  name: nameShape,
  reserved_index: integer(),
  time: timestamp(),
  signatures: signaturesShape,
});

/** Entry bytes of a reservation, signed by the stream's receipt key. */
export function signNameReservation(body: NameReservationBody, receiptKey: EnvelopeSigner): Uint8Array {
  return canonicalBytes(signEnvelope(body, [receiptKey]));
}

/** Reads a reservation; `checkSignedBy` under the stream's receipt key checks it. @throws {FormatError} ERR_JSON_*, ERR_SHAPE */
export function parseNameReservation(bytes: Uint8Array): Signed<NameReservationBody> {
  return readShape(reservationShape, parseCanonical(bytes), "name-reservation");
}

/** Entry bytes of an expiry, signed by the log's operator. */
export function signNameExpiry(body: NameExpiryBody, operator: EnvelopeSigner): Uint8Array {
  return canonicalBytes(signEnvelope(body, [operator]));
}

/**
 * Reads an expiry and checks that the log's operator signed it.
 *
 * @throws {FormatError} ERR_JSON_*, ERR_SHAPE
 * @throws {CheckError} ERR_SIGNATURE_MISSING, ERR_SIGNATURE_INVALID
 */
export function parseNameExpiry(bytes: Uint8Array, operator: PublicKey): Signed<NameExpiryBody> {
  const expiry = readNameExpiry(bytes);
  checkSignedBy(expiry, operator);
  return expiry;
}

/** Reads an expiry; its signature is not looked at. @throws {FormatError} ERR_JSON_*, ERR_SHAPE */
export function readNameExpiry(bytes: Uint8Array): Signed<NameExpiryBody> {
  return readShape(expiryShape, parseCanonical(bytes), "name-expiry");
}
