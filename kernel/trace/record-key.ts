/**
 * The key inside a TRACE document (`cnf.jwk`), its thumbprint (RFC 7638), and the embedded signature: over JCS of the
 * document without it. An embedded key never vouches for itself: the caller says which key it trusts.
 */

import { sha256 } from "#crypto";
import { formatBase64url, parseBase64url } from "../base64url.ts";
import { concat } from "../bytes.ts";
import { CheckError, FormatError } from "../errors.ts";
import { canonicalBytes } from "../json/canonical.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../json/value.ts";
import { makePublicKey, type PublicKey } from "../signature/public-key.ts";
import { createVerifier } from "../signature/verifier.ts";

const PRIVATE_MEMBERS = ["d", "p", "q", "dp", "dq", "qi", "k"];
const COORDINATE_BYTES = 32;
const UNCOMPRESSED = Uint8Array.of(4);

/**
 * The public key of a JWK: OKP on Ed25519, or EC on P-256. Other members are ignored, private ones refused.
 *
 * @throws {FormatError} ERR_TRACE_DOCUMENT, ERR_BASE64, ERR_BYTES_LENGTH
 * @throws {CheckError} ERR_KEY_INVALID, ERR_KEY_WEAK
 */
export function readJwk(jwk: JsonValue | undefined): PublicKey {
  if (!isJsonObject(jwk)) throw refuse("jwk: want an object");
  if (PRIVATE_MEMBERS.some((name) => jwk[name] !== undefined)) throw refuse("jwk: want no private member");
  const { kty, crv } = jwk;
  if (kty === "OKP" && crv === "Ed25519") return makePublicKey("ed25519", readCoordinate(jwk, "x"));
  if (kty !== "EC" || crv !== "P-256") throw refuse("jwk: want OKP on Ed25519 or EC on P-256");
  return makePublicKey("es256", concat(UNCOMPRESSED, readCoordinate(jwk, "x"), readCoordinate(jwk, "y")));
}

/** The key that a record embeds. @throws as `readJwk` */
export function readRecordKey(record: JsonObject): PublicKey {
  const { cnf } = record;
  if (!isJsonObject(cnf)) throw refuse("cnf: want an object");
  return readJwk(cnf["jwk"]);
}

/** RFC 7638 thumbprint of an Ed25519 or P-256 key: base64url without padding. */
export function jwkThumbprint(key: PublicKey): string {
  return formatBase64url(sha256(canonicalBytes(formatJwk(key))));
}

/** The required members of a key's JWK. @throws {CheckError} ERR_KEY_INVALID for a composite key, which has none */
export function formatJwk({ alg, bytes }: PublicKey): JsonObject {
  if (alg === "ed25519") return { crv: "Ed25519", kty: "OKP", x: formatBase64url(bytes) };
  if (alg !== "es256") throw new CheckError("ERR_KEY_INVALID", "a composite key has no JWK");
  const [x, y] = [bytes.subarray(1, 33), bytes.subarray(33)];
  return { crv: "P-256", kty: "EC", x: formatBase64url(x), y: formatBase64url(y) };
}

/**
 * Checks the embedded signature of a record under `key`.
 *
 * @throws {FormatError} ERR_TRACE_DOCUMENT (no signature), ERR_BASE64
 * @throws {CheckError} ERR_SIGNATURE_INVALID
 */
export function checkRecordSignature(record: JsonObject, key: PublicKey): void {
  const { signature, ...signed } = record;
  checkDetached(signed, signature, key);
}

/** `checkRecordSignature` for a document whose signature stands in another member. */
export function checkDetached(signed: JsonObject, signature: JsonValue | undefined, key: PublicKey): void {
  if (typeof signature !== "string") throw refuse("signature: want base64url");
  if (createVerifier(key)(canonicalBytes(signed), parseBase64url(signature))) return;
  throw new CheckError("ERR_SIGNATURE_INVALID", "the embedded signature does not hold under the key");
}

function readCoordinate(jwk: JsonObject, name: string): Uint8Array {
  const value = jwk[name];
  if (typeof value !== "string") throw refuse(`jwk.${name}: want base64url`);
  return parseBase64url(value, COORDINATE_BYTES);
}

function refuse(message: string): FormatError {
  return new FormatError("ERR_TRACE_DOCUMENT", message);
}
