/**
 * Public keys of envelope signatures and their ids (docs/formats/signature.md).
 *
 * A key serves one algorithm, and its id covers the algorithm: kid = hex SHA-256(alg ‖ LF ‖ key bytes).
 */

import { sha256 } from "#crypto";
import { formatBase64, parseBase64 } from "../base64.ts";
import { concat, formatUtf8 } from "../bytes.ts";
import { CheckError, FormatError } from "../errors.ts";
import { formatHex } from "../hex.ts";
import { literal, mapped, object, type Shape, string } from "../shape.ts";
import { COMPOSITE_KEY, splitComposite } from "./composite.ts";
import { checkEd25519Key } from "./ed25519-key-guard.ts";
import { checkP256Key } from "./p256-key-guard.ts";

/** `ed25519`: the default. `es256`: keys in a TPM. `mldsa65-ed25519`: composite, both signatures must hold. */
export type Alg = "ed25519" | "es256" | "mldsa65-ed25519";

/** Every algorithm, in the order in which they are documented. */
export const ALGS: readonly Alg[] = ["ed25519", "es256", "mldsa65-ed25519"];

/** Id of a key: 64 lower-case hexadecimal digits. */
export type Kid = string & { readonly __brand: "Kid" };

/** A public key that has passed its guard; made only by `makePublicKey`. */
export interface PublicKey {
  readonly alg: Alg;
  readonly kid: Kid;
  /** ed25519: 32 B. es256: 65 B, 04 ‖ x ‖ y. mldsa65-ed25519: u32be length ‖ ML-DSA-65 ‖ u32be length ‖ Ed25519. */
  readonly bytes: Uint8Array;
  readonly __brand: "PublicKey";
}

/** A public key in JSON. */
export type PublicKeyJson = {
  readonly alg: Alg;
  /** Base64 of the key bytes. */
  readonly key: string;
};

const KID = /^[0-9a-f]{64}$/;
/** Base64 of the longest key, the composite's 1,992 bytes. */
const MAX_KEY_CHARACTERS = 2656;

const GUARDS: Readonly<Record<Alg, (bytes: Uint8Array) => void>> = {
  ed25519: checkEd25519Bytes,
  es256: checkP256Key,
  "mldsa65-ed25519": checkCompositeKey,
};

/**
 * The public key with these bytes, guarded: right length, valid point, and for Ed25519 the key guard.
 *
 * @throws {CheckError} ERR_KEY_INVALID (length, layout, not on the curve), ERR_KEY_WEAK (Ed25519 key guard)
 */
export function makePublicKey(alg: Alg, bytes: Uint8Array): PublicKey {
  GUARDS[alg](bytes);
  return { alg, kid: kidOf(alg, bytes), bytes: Uint8Array.from(bytes) } as PublicKey;
}

/** The key as JSON. */
export function formatPublicKey(key: PublicKey): PublicKeyJson {
  return { alg: key.alg, key: formatBase64(key.bytes) };
}

/** Reads a PublicKeyJson; throws as makePublicKey does if the bytes are no key. */
export const publicKeyShape: Shape<PublicKey> = mapped(
  object<{ readonly alg: Alg; readonly key: Uint8Array }>({
    alg: literal("ed25519", "es256", "mldsa65-ed25519"),
    key: mapped(string({ maxLength: MAX_KEY_CHARACTERS, description: "base64" }), (text) => parseBase64(text)),
  }),
  ({ alg, key }) => makePublicKey(alg, key),
);

/** Id of the key with these bytes: hex SHA-256(alg ‖ LF ‖ bytes). */
export function kidOf(alg: Alg, bytes: Uint8Array): Kid {
  return formatHex(sha256(concat(formatUtf8(`${alg}\n`), bytes))) as Kid;
}

/**
 * `text` as a key id.
 *
 * @throws {FormatError} ERR_KID
 */
export function parseKid(text: string): Kid {
  if (text.length === 64 && KID.test(text)) return text as Kid;
  throw new FormatError("ERR_KID", "want a key id: 64 lower-case hexadecimal digits");
}

/** A key id in JSON. */
export const kidShape: Shape<Kid> = mapped(string({ maxLength: 64, description: "a key id" }), parseKid);

function checkEd25519Bytes(bytes: Uint8Array): void {
  if (bytes.length !== 32) {
    throw new CheckError("ERR_KEY_INVALID", `want an Ed25519 key of 32 bytes, got ${bytes.length}`);
  }
  checkEd25519Key(bytes);
}

/** Any 1,952 bytes are an ML-DSA-65 key (FIPS 204 §7.2, pkDecode), so only the layout and the Ed25519 part can fail. */
function checkCompositeKey(bytes: Uint8Array): void {
  const parts = splitComposite(bytes, COMPOSITE_KEY);
  if (parts === undefined) {
    throw new CheckError("ERR_KEY_INVALID", "want a composite key: ML-DSA-65 and Ed25519, each behind its length");
  }
  checkEd25519Key(parts.ed25519);
}
