/**
 * Reads deterministic CBOR strictly: bound the length, decode, encode again, compare. Refused beyond bad syntax: lengths
 * left open (indefinite), heads longer than needed, equal map keys, unsorted map keys, bytes after the value, floats and
 * other simple values, keys that are neither integers nor text, too deep nesting. Nothing is allocated by a length that
 * the input only claims.
 */

import { equalBytes, parseUtf8 } from "../bytes.ts";
import { FormatError } from "../errors.ts";
import { formatCbor, type KeyOrder, MAJOR, SIMPLE } from "./encode.ts";
import type { CborKey, CborMap, CborValue } from "./value.ts";

/** Bounds of one item. */
export interface CborLimits {
  /** Default 1 MiB. */
  readonly maxBytes?: number;
  /** Nested arrays, maps and tags; default 16. */
  readonly maxDepth?: number;
  /** Default `sorted`. `kept` takes keys in any order: for headers that others signed, whose bytes are kept. */
  readonly order?: KeyOrder;
}

const DEFAULT_MAX_BYTES = 1024 * 1024;
const DEFAULT_MAX_DEPTH = 16;
/** Additional information of heads: the argument follows in 1, 2, 4 or 8 bytes; the length is left open. */
const ONE_BYTE = 24;
const EIGHT_BYTES = 27;
const OPEN = 31;

/**
 * The value of one CBOR item that fills `bytes`. Byte strings are copies.
 *
 * @throws {FormatError} ERR_CBOR_SIZE, ERR_CBOR_SYNTAX (truncated, trailing bytes, reserved heads), ERR_CBOR_DETERMINISTIC
 *   (open lengths, long heads, key order), ERR_CBOR_DUPLICATE_KEY, ERR_CBOR_TYPE, ERR_CBOR_DEPTH, ERR_UTF8
 */
export function parseCbor(bytes: Uint8Array, limits: CborLimits = {}): CborValue {
  const maxBytes = limits.maxBytes ?? DEFAULT_MAX_BYTES;
  if (bytes.length > maxBytes) throw new FormatError("ERR_CBOR_SIZE", `want at most ${maxBytes} bytes of CBOR`);
  const reader = new Reader(bytes, limits.maxDepth ?? DEFAULT_MAX_DEPTH);
  const value = reader.readItem();
  reader.checkEnd();
  if (equalBytes(formatCbor(value, limits.order), bytes)) return value;
  throw new FormatError("ERR_CBOR_DETERMINISTIC", "want shortest heads and sorted keys (RFC 8949 §4.2.1)");
}

/** Major type, additional information and argument of one head. */
interface Head {
  readonly major: number;
  readonly info: number;
  readonly argument: bigint;
}

class Reader {
  readonly #bytes: Uint8Array;
  #at = 0;
  #depthLeft: number;

  constructor(bytes: Uint8Array, maxDepth: number) {
    this.#bytes = bytes;
    this.#depthLeft = maxDepth;
  }

  checkEnd(): void {
    if (this.#at < this.#bytes.length) throw this.#syntax("nothing after the item");
  }

  readItem(): CborValue {
    const head = this.#readHead();
    const { argument } = head;
    switch (head.major) {
      case MAJOR.unsigned:
        return argument;
      case MAJOR.negative:
        return -1n - argument;
      case MAJOR.bytes:
        return this.#take(argument).slice();
      case MAJOR.text:
        return parseUtf8(this.#take(argument));
      case MAJOR.array:
        return this.#nested(() => this.#readArray(argument));
      case MAJOR.map:
        return this.#nested(() => this.#readMap(argument));
      case MAJOR.tag:
        return this.#nested(() => ({ tag: argument, value: this.readItem() }));
      default:
        return this.#readSimple(head);
    }
  }

  #readHead(): Head {
    const first = this.#take(1n)[0] ?? 0;
    const [major, info] = [first >>> 5, first & 31];
    if (info < ONE_BYTE) return { major, info, argument: BigInt(info) };
    if (info === OPEN) throw new FormatError("ERR_CBOR_DETERMINISTIC", `byte ${this.#at - 1}: want a definite length`);
    if (info > EIGHT_BYTES) throw this.#syntax("a head that RFC 8949 defines");
    let argument = 0n;
    for (const byte of this.#take(1n << BigInt(info - ONE_BYTE))) argument = (argument << 8n) | BigInt(byte);
    return { major, info, argument };
  }

  #readArray(count: bigint): CborValue {
    this.#checkCount(count);
    const items: CborValue[] = [];
    for (let i = 0n; i < count; i += 1n) items.push(this.readItem());
    return items;
  }

  #readMap(count: bigint): CborMap {
    this.#checkCount(2n * count);
    const map = new Map<CborKey, CborValue>();
    for (let i = 0n; i < count; i += 1n) {
      const key = this.#readKey();
      if (map.has(key)) throw new FormatError("ERR_CBOR_DUPLICATE_KEY", `two equal keys, byte ${this.#at}`);
      map.set(key, this.readItem());
    }
    return map;
  }

  #readKey(): CborKey {
    const key = this.readItem();
    if (typeof key === "bigint" || typeof key === "string") return key;
    throw new FormatError("ERR_CBOR_TYPE", `a map key before byte ${this.#at}: want an integer or text`);
  }

  #readSimple({ info }: Head): CborValue {
    if (info === SIMPLE.false) return false;
    if (info === SIMPLE.true) return true;
    if (info === SIMPLE.null) return null;
    throw new FormatError(
      "ERR_CBOR_TYPE",
      `before byte ${this.#at}: want no float, and no simple but false, true, null`,
    );
  }

  #nested<T>(read: () => T): T {
    if (this.#depthLeft === 0) throw new FormatError("ERR_CBOR_DEPTH", `nested too deep at byte ${this.#at}`);
    this.#depthLeft -= 1;
    const value = read();
    this.#depthLeft += 1;
    return value;
  }

  /** Every item takes a byte at least, so a count above what is left is refused before anything is read. */
  #checkCount(items: bigint): void {
    if (items > BigInt(this.#bytes.length - this.#at)) throw this.#syntax("as many items as the head counts");
  }

  #take(length: bigint): Uint8Array {
    if (length > BigInt(this.#bytes.length - this.#at)) throw this.#syntax("as many bytes as the head counts");
    const start = this.#at;
    this.#at += Number(length);
    return this.#bytes.subarray(start, this.#at);
  }

  #syntax(want: string): FormatError {
    return new FormatError("ERR_CBOR_SYNTAX", `byte ${this.#at}: want ${want}`);
  }
}
