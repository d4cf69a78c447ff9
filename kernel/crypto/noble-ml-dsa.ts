/** ML-DSA (FIPS 204) by @noble/post-quantum: the browser's only implementation, and Node's where OpenSSL has none. */

import { ml_dsa44, ml_dsa65 } from "@noble/post-quantum/ml-dsa.js";
import { requireSecretLength } from "./key-encoding.ts";
import type { SignatureAlgorithm } from "./primitives.ts";

/** ML-DSA-44 over raw keys; signing is deterministic (FIPS 204 §3.4: rnd = 0^32), context is empty. */
export const nobleMlDsa44: SignatureAlgorithm = makeAlgorithm(ml_dsa44);

/** ML-DSA-65 over raw keys; signing is deterministic, context is empty. */
export const nobleMlDsa65: SignatureAlgorithm = makeAlgorithm(ml_dsa65);

const SEED_BYTES = 32;

function makeAlgorithm(algorithm: typeof ml_dsa44): SignatureAlgorithm {
  const keys = (seed: Uint8Array): { readonly secretKey: Uint8Array; readonly publicKey: Uint8Array } =>
    algorithm.keygen(requireSecretLength(seed, SEED_BYTES, "ML-DSA seed"));
  return {
    publicKey: (seed) => keys(seed).publicKey,
    signer: (seed) => {
      const { secretKey } = keys(seed);
      return (message) => algorithm.sign(message, secretKey, { extraEntropy: false });
    },
    verifier: (publicKey) => {
      if (publicKey.length !== algorithm.lengths.publicKey) return () => false;
      const key = publicKey.slice();
      return (message, signature) => {
        if (signature.length !== algorithm.lengths.signature) return false;
        return algorithm.verify(signature, message, key);
      };
    },
  };
}
