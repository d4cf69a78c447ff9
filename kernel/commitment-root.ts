/**
 * The root of a commitment (kernel/commitment.ts) over many fields at once: as HMAC, leaves and tree are written there, with
 * the key's pads prepared once and nothing new in memory for a field. A gateway does this four times for each call.
 */

import { sha256Into } from "#crypto";
import { HashInput } from "./hash-input.ts";
import { formatHex } from "./hex.ts";
import { HASH_BYTES, hashPairs } from "./merkle/hash.ts";

/** A leaf without its salt, in tree order. */
export interface UnsaltedLeaf {
  readonly pointer: string;
  /** JCS text of a field, or exact bytes. */
  readonly value: string | Uint8Array;
}

/** SPEC RFC 2104 §2: B, ipad and opad. The key is no longer than a block, so it is not hashed first. */
const BLOCK_BYTES = 64;
const INNER_PAD = 0x36;
const OUTER_PAD = 0x5c;

/** key ^ ipad ‖ lp(name) ‖ lp(pointer). */
const inner = new HashInput(4096);
/** key ^ opad ‖ inner hash. */
const outer = new Uint8Array(BLOCK_BYTES + HASH_BYTES);
/** 00 ‖ lp(salt) ‖ lp(pointer) ‖ lp(value); nothing but zeros is ever written to the prefix and the first bytes of the length. */
const leaf = new HashInput(16_384);
const SALT_AT = 1 + 4;

/**
 * RFC 6962 root over SHA-256(00 ‖ lp(salt) ‖ lp(pointer) ‖ lp(value)), salt = HMAC-SHA-256(secret, lp(name) ‖ lp(pointer)).
 *
 * @param secret  at most 64 bytes
 * @param leaves  at least one
 * @returns hexadecimal
 */
export function saltedRoot(secret: Uint8Array, name: string, leaves: readonly UnsaltedLeaf[]): string {
  const row = new Uint8Array(leaves.length * HASH_BYTES);
  try {
    prepare(secret, name);
    const nameEnd = inner.length;
    for (let i = 0; i < leaves.length; i += 1) {
      const next = leaves[i];
      inner.length = nameEnd;
      if (next !== undefined) hashSalted(next, row, i * HASH_BYTES);
    }
  } finally {
    inner.wipe();
    outer.fill(0);
    leaf.wipe();
  }
  return formatHex(rootOf(row, leaves.length));
}

function prepare(secret: Uint8Array, name: string): void {
  for (let i = 0; i < BLOCK_BYTES; i += 1) {
    const byte = secret[i] ?? 0;
    inner.bytes[i] = byte ^ INNER_PAD;
    outer[i] = byte ^ OUTER_PAD;
  }
  inner.length = BLOCK_BYTES;
  inner.putText(name);
}

function hashSalted({ pointer, value }: UnsaltedLeaf, row: Uint8Array, at: number): void {
  inner.putText(pointer);
  sha256Into(inner.view(), outer, BLOCK_BYTES);
  leaf.bytes[SALT_AT - 1] = HASH_BYTES;
  sha256Into(outer, leaf.bytes, SALT_AT);
  leaf.length = SALT_AT + HASH_BYTES;
  leaf.putText(pointer);
  if (typeof value === "string") leaf.putText(value);
  else leaf.putBytes(value);
  sha256Into(leaf.view(), row, at);
}

/** Row by row: a node without a neighbour stands in the next row as it is, which makes the splits of RFC 6962. */
function rootOf(row: Uint8Array, leaves: number): Uint8Array {
  let count = leaves;
  while (count > 1) {
    const pairs = count >> 1;
    hashPairs(row, 2 * pairs);
    if (count % 2 === 1) row.copyWithin(pairs * HASH_BYTES, (count - 1) * HASH_BYTES, count * HASH_BYTES);
    count -= pairs;
  }
  return row.subarray(0, HASH_BYTES);
}
