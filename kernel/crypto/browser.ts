/**
 * `#crypto` where there is no node:crypto: @noble, pure JavaScript, the same bytes.
 *
 * Ed25519 here is noble's RFC 8032 mode plus a guard on R, because noble works up to the cofactor and OpenSSL does not.
 * Behind the key guard (signature/ed25519-key-guard.ts) both sides then give the same verdict; a test pins it.
 */

import { p256 as curve } from "@noble/curves/nist.js";
import { getPublicKey, hashes, sign, verify } from "@noble/ed25519";
import { hmac } from "@noble/hashes/hmac.js";
import { sha256 as nobleSha256, sha512 } from "@noble/hashes/sha2.js";
import { FormatError } from "../errors.ts";
import { checkEd25519Point } from "../signature/ed25519-key-guard.ts";
import { isLowS, requireSecretLength } from "./key-encoding.ts";
import { nobleMlDsa44, nobleMlDsa65 } from "./noble-ml-dsa.ts";
import type { CryptoPrimitives, SignatureAlgorithm } from "./primitives.ts";

hashes.sha512 = sha512;

const SECRET_BYTES = 32;

/** SHA-256. */
export const sha256: CryptoPrimitives["sha256"] = (data) => nobleSha256(data);

/** SHA-256 into memory of the caller's. */
export const sha256Into: CryptoPrimitives["sha256Into"] = (data, to, at) => to.set(nobleSha256(data), at);

/** HMAC-SHA-256. */
export const hmacSha256: CryptoPrimitives["hmacSha256"] = (key, data) => hmac(nobleSha256, key, data);

/** Ed25519: RFC 8032 strict decoding, R canonical and torsion-free. No key guard beyond noble's small-order refusal. */
export const ed25519: SignatureAlgorithm = {
  publicKey: (seed) => getPublicKey(requireSecretLength(seed, SECRET_BYTES, "Ed25519 seed")),
  signer: (seed) => {
    const secret = requireSecretLength(seed, SECRET_BYTES, "Ed25519 seed").slice();
    return (message) => sign(message, secret);
  },
  verifier: (publicKey) => {
    const key = publicKey.slice();
    return (message, signature) => verifyEd25519(key, message, signature);
  },
};

/** ECDSA over P-256 with SHA-256; signatures are r ‖ s, low-S; signing is deterministic (RFC 6979). */
export const p256: SignatureAlgorithm = {
  publicKey: p256PublicKey,
  signer: (secret) => {
    p256PublicKey(secret);
    const key = secret.slice();
    return (message) => curve.sign(message, key, { lowS: true });
  },
  verifier: (publicKey) => {
    if (!isP256PublicKey(publicKey)) return () => false;
    const key = publicKey.slice();
    return (message, signature) => isLowS(signature) && curve.verify(signature, message, key, { lowS: true });
  },
};

/** ML-DSA-44, deterministic. */
export const mlDsa44: SignatureAlgorithm = nobleMlDsa44;

/** ML-DSA-65, deterministic. */
export const mlDsa65: SignatureAlgorithm = nobleMlDsa65;

/** Which implementation decides each algorithm's verdict. */
export const implementations: CryptoPrimitives["implementations"] = {
  sha256: "@noble/hashes",
  ed25519: "@noble/ed25519",
  p256: "@noble/curves",
  mlDsa44: "@noble/post-quantum",
  mlDsa65: "@noble/post-quantum",
};

/** noble throws on lengths that it does not know and on S >= L; a verdict has no exceptions. */
function verifyEd25519(key: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  if (key.length !== 32 || signature.length !== 64) return false;
  try {
    if (!verify(signature, message, key, { zip215: false })) return false;
    checkEd25519Point(signature.subarray(0, 32));
    return true;
  } catch {
    return false;
  }
}

function p256PublicKey(secret: Uint8Array): Uint8Array {
  requireSecretLength(secret, SECRET_BYTES, "P-256 secret");
  if (!curve.utils.isValidSecretKey(secret)) {
    throw new FormatError("ERR_KEY_INVALID", "P-256 secret: want 1 <= secret < group order");
  }
  return curve.getPublicKey(secret, false);
}

function isP256PublicKey(key: Uint8Array): boolean {
  return key.length === 65 && key[0] === 4 && curve.utils.isValidPublicKey(key, false);
}
