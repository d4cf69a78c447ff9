/** The guard of P-256 keys: an uncompressed point that is on the curve. The group has prime order, so that is enough. */

import { CheckError } from "../errors.ts";
import { formatHex } from "../hex.ts";

const KEY_BYTES = 65;
/** FIPS 186-5 / SP 800-186 §3.2.1.3: y² = x³ − 3x + b over the field of P. */
const P = BigInt("0xffffffff00000001000000000000000000000000ffffffffffffffffffffffff");
const B = BigInt("0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b");

/**
 * Checks that `key` is a P-256 public key in the one form that we take: 04 ‖ x ‖ y.
 *
 * @throws {CheckError} ERR_KEY_INVALID
 */
export function checkP256Key(key: Uint8Array): void {
  if (key.length !== KEY_BYTES || key[0] !== 4) {
    throw new CheckError("ERR_KEY_INVALID", "want a P-256 key of 65 bytes: 04, x, y");
  }
  const x = BigInt(`0x${formatHex(key.subarray(1, 33))}`);
  const y = BigInt(`0x${formatHex(key.subarray(33))}`);
  if (x >= P || y >= P || (y * y - (x * x * x - 3n * x + B)) % P !== 0n) {
    throw new CheckError("ERR_KEY_INVALID", "the P-256 key is not a point of the curve");
  }
}
