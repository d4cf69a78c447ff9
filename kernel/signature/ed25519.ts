/**
 * Ed25519 verdicts for what comes from outside: the key guard once, one rule on R, then the primitive of `#crypto`.
 *
 * OpenSSL since 3.5 refuses an R of small order and OpenSSL 3.0 does not. Behind the key guard the only such R that can
 * satisfy the equation is the identity, which no honest signer makes; it is refused here, so that the verdict on a
 * signature does not depend on the runtime that gives it.
 */

import { ed25519 } from "#crypto";
import { equalBytes } from "../bytes.ts";
import type { Verifier } from "../crypto/primitives.ts";
import { checkEd25519Key } from "./ed25519-key-guard.ts";

/** Encoding of the neutral point (x = 0, y = 1). */
const IDENTITY = Uint8Array.of(1, ...new Uint8Array(31));

/**
 * A verifier whose verdict is the same on both sides of `#crypto` and on every Node, also for crafted keys and
 * signatures.
 *
 * @param publicKey  32 bytes, RFC 8032 encoding
 * @throws {CheckError} ERR_KEY_WEAK
 */
export function ed25519Verifier(publicKey: Uint8Array): Verifier {
  checkEd25519Key(publicKey);
  return verifierOfCheckedKey(publicKey);
}

/** As `ed25519Verifier`, for a key that has passed `checkEd25519Key` already: importing it costs microseconds. */
export function verifierOfCheckedKey(publicKey: Uint8Array): Verifier {
  const verify = ed25519.verifier(publicKey);
  return (message, signature) => !hasIdentityR(signature) && verify(message, signature);
}

/** True for a signature whose R is the neutral point: it is refused whatever a primitive says. */
function hasIdentityR(signature: Uint8Array): boolean {
  return signature[0] === 1 && equalBytes(signature.subarray(0, 32), IDENTITY);
}
