/** What both sides of `#crypto` share about raw keys: the length of a secret and the low-S rule of P-256. */

import { compareBytes } from "../bytes.ts";
import { FormatError } from "../errors.ts";
import { parseHex } from "../hex.ts";

const P256_ORDER = BigInt("0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");
const P256_HALF_ORDER = parseHex("7fffffff800000007fffffffffffffffde737d56d38bcf4279dce5617e3192a8");

/**
 * `secret` itself if it has `length` bytes.
 *
 * @throws {FormatError} ERR_BYTES_LENGTH
 */
export function requireSecretLength(secret: Uint8Array, length: number, what: string): Uint8Array {
  if (secret.length === length) return secret;
  throw new FormatError("ERR_BYTES_LENGTH", `${what}: want ${length} bytes, got ${secret.length}`);
}

/** True if `signature` (r ‖ s) is 64 bytes with s <= n/2: the one of the two valid forms that we accept. */
export function isLowS(signature: Uint8Array): boolean {
  return signature.length === 64 && compareBytes(signature.subarray(32), P256_HALF_ORDER) <= 0;
}

/** The low-S form of a valid P-256 signature (r ‖ s): s becomes n − s if it is above n/2. */
export function toLowS(signature: Uint8Array): Uint8Array {
  const low = Uint8Array.from(signature);
  if (isLowS(low)) return low;
  let s = P256_ORDER;
  for (let i = 32, shift = 248n; i < 64; i += 1, shift -= 8n) s -= BigInt(low[i] ?? 0) << shift;
  for (let i = 63; i >= 32; i -= 1, s >>= 8n) low[i] = Number(s & 255n);
  return low;
}
