/** Ed25519 verdicts for keys that come from outside: the key guard once, then the primitive of `#crypto`. */

import { ed25519 } from "#crypto";
import type { Verifier } from "../crypto/primitives.ts";
import { checkEd25519Key } from "./ed25519-key-guard.ts";

/**
 * A verifier whose verdict is the same on both sides of `#crypto`, also for crafted keys and signatures.
 *
 * @param publicKey  32 bytes, RFC 8032 encoding
 * @throws {CheckError} ERR_KEY_WEAK
 */
export function ed25519Verifier(publicKey: Uint8Array): Verifier {
  checkEd25519Key(publicKey);
  return ed25519.verifier(publicKey);
}
