/** The imported form of a verifier key. */

import { mlDsa44 } from "#crypto";
import type { Verifier } from "../crypto/primitives.ts";
import { ed25519Verifier } from "../signature/ed25519.ts";
import type { VerifierKey } from "./verifier-key.ts";

// Importing a key costs more than a verification (the guard alone 0.7 ms), and keys live as long as their policy.
const imported = new WeakMap<VerifierKey, Verifier>();

/**
 * The bare verdict of `key`'s algorithm over a message; the key is imported once and remembered with the object.
 *
 * @throws {CheckError} ERR_KEY_WEAK
 */
export function verifierOf(key: VerifierKey): Verifier {
  const known = imported.get(key);
  if (known !== undefined) return known;
  const verifier = key.type === 0x06 ? mlDsa44.verifier(key.publicKey) : ed25519Verifier(key.publicKey);
  imported.set(key, verifier);
  return verifier;
}
