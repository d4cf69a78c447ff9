/** Writes deterministic CBOR, RFC 8949 §4.2.1: shortest heads, definite lengths, map keys in the order of their bytes. */

import { compareBytes, formatUtf8 } from "../bytes.ts";
import { invariant } from "../errors.ts";
import { type CborKey, type CborMap, type CborValue, isCborArray, isCborBytes, isCborMap } from "./value.ts";

/** Major types, RFC 8949 §3.1. */
export const MAJOR = { unsigned: 0, negative: 1, bytes: 2, text: 3, array: 4, map: 5, tag: 6, simple: 7 } as const;

/** Simple values that we have, RFC 8949 §3.3. */
export const SIMPLE = { false: 20, true: 21, null: 22 } as const;

const LIMIT = 1n << 64n;

/** `sorted`: the deterministic order of map keys. `kept`: the order that each map has, as in signed headers of others. */
export type KeyOrder = "sorted" | "kept";

/**
 * The deterministic bytes of `value`. Texts must be well-formed, and integers fit 64 bits.
 *
 * @throws {BugError} ERR_BUG on an integer outside −2^64..2^64 − 1
 */
export function formatCbor(value: CborValue, order: KeyOrder = "sorted"): Uint8Array {
  const writer = new Writer(order);
  writer.write(value);
  return writer.finish();
}

/** A growing byte string. */
class Writer {
  readonly #order: KeyOrder;
  #bytes = new Uint8Array(256);
  #length = 0;

  constructor(order: KeyOrder) {
    this.#order = order;
  }

  finish(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }

  write(value: CborValue): void {
    if (typeof value === "bigint") this.#writeInteger(value);
    else if (typeof value === "string") this.#writeString(MAJOR.text, formatUtf8(value));
    else if (typeof value === "boolean") this.#writeHead(MAJOR.simple, BigInt(value ? SIMPLE.true : SIMPLE.false));
    else if (value === null) this.#writeHead(MAJOR.simple, BigInt(SIMPLE.null));
    else if (isCborBytes(value)) this.#writeString(MAJOR.bytes, value);
    else if (isCborArray(value)) this.#writeArray(value);
    else if (isCborMap(value)) this.#writeMap(value);
    else {
      this.#writeHead(MAJOR.tag, value.tag);
      this.write(value.value);
    }
  }

  #writeInteger(value: bigint): void {
    if (value >= 0n) this.#writeHead(MAJOR.unsigned, value);
    else this.#writeHead(MAJOR.negative, -1n - value);
  }

  #writeString(major: number, bytes: Uint8Array): void {
    this.#writeHead(major, BigInt(bytes.length));
    this.#append(bytes);
  }

  #writeArray(items: readonly CborValue[]): void {
    this.#writeHead(MAJOR.array, BigInt(items.length));
    for (const item of items) this.write(item);
  }

  #writeMap(map: CborMap): void {
    this.#writeHead(MAJOR.map, BigInt(map.size));
    for (const [key, value] of this.#membersOf(map)) {
      this.#append(key);
      this.write(value);
    }
  }

  /** Encoded keys with their values, in the wanted order. */
  #membersOf(map: CborMap): readonly (readonly [Uint8Array, CborValue])[] {
    const members = [...map].map(([key, value]): readonly [Uint8Array, CborValue] => [encodeKey(key), value]);
    // SPEC RFC 8949 §4.2.1: keys in the bytewise lexicographic order of their deterministic encodings.
    return this.#order === "kept" ? members : members.sort(([a], [b]) => compareBytes(a, b));
  }

  /** Major type and argument in the shortest form. */
  #writeHead(major: number, argument: bigint): void {
    invariant(argument >= 0n && argument < LIMIT, "formatCbor: an integer that does not fit 64 bits");
    const width = widthOf(argument);
    const head = new Uint8Array(1 + width);
    head[0] = (major << 5) | (width === 0 ? Number(argument) : 24 + Math.log2(width));
    for (let i = width, rest = argument; i > 0; i -= 1, rest >>= 8n) head[i] = Number(rest & 255n);
    this.#append(head);
  }

  #append(bytes: Uint8Array): void {
    const end = this.#length + bytes.length;
    if (end > this.#bytes.length) {
      const larger = new Uint8Array(2 * end);
      larger.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = larger;
    }
    this.#bytes.set(bytes, this.#length);
    this.#length = end;
  }
}

function encodeKey(key: CborKey): Uint8Array {
  return formatCbor(key);
}

/** Bytes of the argument behind the first byte: 0, 1, 2, 4 or 8. */
function widthOf(argument: bigint): number {
  if (argument < 24n) return 0;
  if (argument < 0x100n) return 1;
  if (argument < 0x10000n) return 2;
  return argument < 0x100000000n ? 4 : 8;
}
