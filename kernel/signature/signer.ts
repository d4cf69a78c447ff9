/** Signers of envelopes: a secret and an algorithm, imported once. */

import { ed25519, mlDsa65, p256 } from "#crypto";
import type { Signer } from "../crypto/primitives.ts";
import { FormatError } from "../errors.ts";
import { formatComposite } from "./composite.ts";
import { type Alg, makePublicKey, type PublicKey } from "./public-key.ts";

/** Signs signing inputs (kernel/signature/envelope.ts) with one key. */
export interface EnvelopeSigner {
  readonly publicKey: PublicKey;
  /** ed25519 and es256: 64 bytes. mldsa65-ed25519: u32be length ‖ ML-DSA-65 ‖ u32be length ‖ Ed25519. */
  readonly sign: (input: Uint8Array) => Uint8Array;
}

/** Bytes of the secret that `createSigner` takes. */
export const SECRET_BYTES: Readonly<Record<Alg, number>> = { ed25519: 32, es256: 32, "mldsa65-ed25519": 64 };

/**
 * A signer of `secret`: ed25519 the 32-byte seed; es256 the 32-byte scalar; mldsa65-ed25519 the 32-byte ML-DSA-65 seed
 * and the 32-byte Ed25519 seed.
 *
 * @throws {FormatError} ERR_BYTES_LENGTH, ERR_KEY_INVALID (an es256 secret that is zero or not below the group order)
 */
export function createSigner(alg: Alg, secret: Uint8Array): EnvelopeSigner {
  if (secret.length !== SECRET_BYTES[alg]) {
    throw new FormatError("ERR_BYTES_LENGTH", `${alg} secret: want ${SECRET_BYTES[alg]} bytes, got ${secret.length}`);
  }
  const [publicKey, sign] = importSecret(alg, secret);
  return { publicKey: makePublicKey(alg, publicKey), sign };
}

function importSecret(alg: Alg, secret: Uint8Array): readonly [Uint8Array, Signer] {
  switch (alg) {
    case "ed25519":
      return [ed25519.publicKey(secret), ed25519.signer(secret)];
    case "es256":
      return [p256.publicKey(secret), p256.signer(secret)];
    case "mldsa65-ed25519":
      return importComposite(secret.subarray(0, 32), secret.subarray(32));
  }
}

function importComposite(mlDsaSeed: Uint8Array, ed25519Seed: Uint8Array): readonly [Uint8Array, Signer] {
  const publicKey = { mlDsa: mlDsa65.publicKey(mlDsaSeed), ed25519: ed25519.publicKey(ed25519Seed) };
  const signMlDsa = mlDsa65.signer(mlDsaSeed);
  const signEd25519 = ed25519.signer(ed25519Seed);
  const sign: Signer = (input) => formatComposite({ mlDsa: signMlDsa(input), ed25519: signEd25519(input) });
  return [formatComposite(publicKey), sign];
}
