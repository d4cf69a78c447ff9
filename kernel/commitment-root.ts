/**
 * The root of a commitment (kernel/commitment.ts) over many fields at once: as HMAC, leaves and tree are written there, with
 * the key's pads prepared once and nothing new in memory for a field. A gateway does this four times for each call.
 */

import { sha256Into } from "#crypto";
import { HashInput } from "./hash-input.ts";
import { formatHex } from "./hex.ts";
import { formatCanonical } from "./json/canonical.ts";
import type { JsonField } from "./json/pointer.ts";
import { HASH_BYTES } from "./merkle/hash.ts";

/** What is committed to: the leaves without their salts. */
export interface CommittedContent {
  /** In tree order. */
  readonly fields: readonly JsonField[];
  /** The last leaf. */
  readonly bytesPointer: string;
  readonly bytes: Uint8Array;
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

const NODE_PREFIX = 0x01;
/** 01 ‖ left ‖ right. */
const PAIR_BYTES = 1 + 2 * HASH_BYTES;

/** Hashes of one row of the tree, each where it is hashed with its neighbour: nothing is copied for a node. */
class Row {
  readonly #bytes: Uint8Array;
  readonly #pairs: readonly Uint8Array[];
  readonly #first: Uint8Array;

  constructor(leaves: number) {
    const pairs = Math.ceil(leaves / 2);
    this.#bytes = new Uint8Array(pairs * PAIR_BYTES);
    for (let pair = 0; pair < pairs; pair += 1) this.#bytes[pair * PAIR_BYTES] = NODE_PREFIX;
    this.#pairs = Array.from({ length: pairs }, (_, pair) =>
      this.#bytes.subarray(pair * PAIR_BYTES, (pair + 1) * PAIR_BYTES),
    );
    this.#first = this.#bytes.subarray(1, 1 + HASH_BYTES);
  }

  /** Hash `index` becomes that of `input`. */
  put(input: Uint8Array, index: number): void {
    sha256Into(input, this.#bytes, placeOf(index));
  }

  /**
   * The root over the first hashes, which are written over. A node without a neighbour stands in the next row as it is, which
   * makes the splits of RFC 6962.
   */
  root(leaves: number): Uint8Array {
    let count = leaves;
    while (count > 1) {
      const pairs = count >> 1;
      // The node above a pair is put where no pair stands that is still to be read.
      for (let pair = 0; pair < pairs; pair += 1) {
        const input = this.#pairs[pair];
        if (input !== undefined) this.put(input, pair);
      }
      if (count % 2 === 1) this.#move(count - 1, pairs);
      count -= pairs;
    }
    return this.#first;
  }

  #move(from: number, to: number): void {
    this.#bytes.copyWithin(placeOf(to), placeOf(from), placeOf(from) + HASH_BYTES);
  }
}

function placeOf(index: number): number {
  return (index >> 1) * PAIR_BYTES + 1 + (index & 1) * HASH_BYTES;
}

/** More leaves than a usual message has; used again and again, as the inputs are. */
const USUAL_LEAVES = 128;
const usualRow = new Row(USUAL_LEAVES);

/**
 * RFC 6962 root over SHA-256(00 ‖ lp(salt) ‖ lp(pointer) ‖ lp(value)), salt = HMAC-SHA-256(secret, lp(name) ‖ lp(pointer)); the
 * value of a field is its JCS form.
 *
 * @param secret  at most 64 bytes
 * @returns hexadecimal
 * @throws {FormatError} as formatCanonical
 */
export function saltedRoot(
  secret: Uint8Array,
  name: string,
  { fields, bytesPointer, bytes }: CommittedContent,
): string {
  const leaves = fields.length + 1;
  const row = leaves <= USUAL_LEAVES ? usualRow : new Row(leaves);
  try {
    prepare(secret, name);
    const nameEnd = inner.length;
    for (let i = 0; i < fields.length; i += 1) {
      const field = fields[i];
      if (field === undefined) continue;
      salt(field.pointer, nameEnd);
      leaf.putText(formatCanonical(field.value));
      row.put(leaf.view(), i);
    }
    salt(bytesPointer, nameEnd);
    leaf.putBytes(bytes);
    row.put(leaf.view(), fields.length);
  } finally {
    inner.wipe();
    outer.fill(0);
    leaf.wipe();
  }
  return formatHex(row.root(leaves));
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

/** Begins a leaf: what stands before its value. */
function salt(pointer: string, nameEnd: number): void {
  inner.length = nameEnd;
  inner.putText(pointer);
  sha256Into(inner.view(), outer, BLOCK_BYTES);
  leaf.bytes[SALT_AT - 1] = HASH_BYTES;
  sha256Into(outer, leaf.bytes, SALT_AT);
  leaf.length = SALT_AT + HASH_BYTES;
  leaf.putText(pointer);
}
