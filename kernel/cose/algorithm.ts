/** COSE algorithm numbers (IANA "COSE Algorithms"; RFC 9053 §2, RFC 9864) and the algorithms of our keys. */

import { CheckError } from "../errors.ts";
import type { Alg, PublicKey } from "../signature/public-key.ts";

/** ES256 signs with P-256; EdDSA with Ed25519. The fully specified −9 and −19 are taken and never written. */
const BY_NUMBER: ReadonlyMap<bigint, Alg> = new Map<bigint, Alg>([
  [-7n, "es256"],
  [-9n, "es256"],
  [-8n, "ed25519"],
  [-19n, "ed25519"],
]);

/**
 * The number that objects signed with `alg` carry: −7 for es256, −8 for ed25519.
 *
 * @throws {CheckError} ERR_COSE_ALG: the composite has no number that peers agree on
 */
export function coseAlgorithmOf(alg: Alg): bigint {
  if (alg === "es256") return -7n;
  if (alg === "ed25519") return -8n;
  throw new CheckError("ERR_COSE_ALG", `COSE has no algorithm for ${alg}`);
}

/**
 * Checks that the algorithm that an object names is the one that `key` serves.
 *
 * @throws {CheckError} ERR_COSE_ALG
 */
export function checkAlgorithm(number: bigint, key: PublicKey): void {
  const alg = BY_NUMBER.get(number);
  if (alg === undefined) throw new CheckError("ERR_COSE_ALG", `alg ${number}: want ES256 (-7) or EdDSA (-8)`);
  if (alg !== key.alg) throw new CheckError("ERR_COSE_ALG", `alg ${number}: the key serves ${key.alg}`);
}

/** True if `key` serves the algorithm that the number names. */
export function servesAlgorithm(key: PublicKey, number: bigint): boolean {
  return BY_NUMBER.get(number) === key.alg;
}

/** True for the numbers of algorithms that we verify. */
export function isKnownAlgorithm(number: bigint): boolean {
  return BY_NUMBER.has(number);
}
