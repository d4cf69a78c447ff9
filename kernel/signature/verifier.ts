/** Verifiers of envelopes: a public key, imported once. */

import { mlDsa65, p256 } from "#crypto";
import type { Verifier } from "../crypto/primitives.ts";
import { invariant } from "../errors.ts";
import { COMPOSITE_KEY, COMPOSITE_SIGNATURE, splitComposite } from "./composite.ts";
import { verifierOfCheckedKey } from "./ed25519.ts";
import type { PublicKey } from "./public-key.ts";

/**
 * The verdict on (signing input, signature) under `key`: es256 takes low-S only; the composite needs both signatures.
 * Never throws on a malformed signature.
 */
export function createVerifier(key: PublicKey): Verifier {
  switch (key.alg) {
    case "ed25519":
      return verifierOfCheckedKey(key.bytes);
    case "es256":
      return p256.verifier(key.bytes);
    case "mldsa65-ed25519":
      return createCompositeVerifier(key.bytes);
  }
}

function createCompositeVerifier(bytes: Uint8Array): Verifier {
  const keys = splitComposite(bytes, COMPOSITE_KEY);
  invariant(keys !== undefined, "createVerifier: a composite key without two parts");
  const verifyMlDsa = mlDsa65.verifier(keys.mlDsa);
  const verifyEd25519 = verifierOfCheckedKey(keys.ed25519);
  return (input, signature) => {
    const parts = splitComposite(signature, COMPOSITE_SIGNATURE);
    if (parts === undefined) return false;
    return verifyEd25519(input, parts.ed25519) && verifyMlDsa(input, parts.mlDsa);
  };
}
