/**
 * The composite `mldsa65-ed25519`: keys and signatures are two parts, ML-DSA-65 then Ed25519, each behind its length
 * as four bytes big-endian.
 */

import { concat, lengthPrefixed } from "../bytes.ts";

/** Bytes of each part; both are fixed, so a whole has one length and one layout. */
export interface CompositeLengths {
  readonly mlDsa: number;
  readonly ed25519: number;
}

/** The two parts of a composite key or signature. */
export interface CompositeParts {
  readonly mlDsa: Uint8Array;
  readonly ed25519: Uint8Array;
}

/** ML-DSA-65 and Ed25519 public keys (FIPS 204 table 2; RFC 8032 §5.1.5). */
export const COMPOSITE_KEY: CompositeLengths = { mlDsa: 1952, ed25519: 32 };

/** ML-DSA-65 and Ed25519 signatures. */
export const COMPOSITE_SIGNATURE: CompositeLengths = { mlDsa: 3309, ed25519: 64 };

/** u32be length ‖ ML-DSA-65 ‖ u32be length ‖ Ed25519. */
export function formatComposite(parts: CompositeParts): Uint8Array {
  return concat(lengthPrefixed(parts.mlDsa), lengthPrefixed(parts.ed25519));
}

/** The parts of `bytes`, or undefined if lengths or prefixes are not those of `lengths`. */
export function splitComposite(bytes: Uint8Array, lengths: CompositeLengths): CompositeParts | undefined {
  if (bytes.length !== 8 + lengths.mlDsa + lengths.ed25519) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (view.getUint32(0) !== lengths.mlDsa || view.getUint32(4 + lengths.mlDsa) !== lengths.ed25519) return undefined;
  return { mlDsa: bytes.subarray(4, 4 + lengths.mlDsa), ed25519: bytes.subarray(8 + lengths.mlDsa) };
}
