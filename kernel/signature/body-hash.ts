/** The hash that signatures are over, from an envelope's bytes: canonical bytes without a member are those of the rest. */

import { sha256 } from "#crypto";

/** Memory for one body, used again and again: to make it anew costs more than the hash. Hashing never yields. */
const scratch = new Uint8Array(65_535);

/**
 * SHA-256 of `bytes` without [start, end).
 *
 * @param start  of the member `signatures`, the comma in front of it included; requires 0 <= start <= end <= length
 */
export function hashWithout(bytes: Uint8Array, start: number, end: number): Uint8Array {
  const rest = bytes.length <= scratch.length ? scratch : new Uint8Array(bytes.length);
  rest.set(bytes);
  rest.copyWithin(start, end, bytes.length);
  return sha256(rest.subarray(0, bytes.length - (end - start)));
}
