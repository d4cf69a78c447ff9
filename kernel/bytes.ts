/** Byte strings: joining, comparing, UTF-8 and fixed-width big-endian integers. */

import { FormatError, invariant } from "./errors.ts";

// The kernel is compiled without the types of any platform; Node and browsers have these two.
declare const TextEncoder: new () => { encode(text: string): Uint8Array };
declare const TextDecoder: new (
  label: string,
  options: { fatal: boolean; ignoreBOM: boolean },
) => { decode(bytes: Uint8Array): string };

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Joins byte strings in order; of parts whose number somebody else decides, use `concatAll`. */
export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  return concatAll(parts);
}

/** Joins any number of byte strings in order: as arguments of a call, 200,000 of them overflow the stack. */
export function concatAll(parts: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(parts.reduce((total, part) => total + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    joined.set(part, offset);
    offset += part.length;
  }
  return joined;
}

/** True if both byte strings have the same length and content. Not constant-time: use it on public values only. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i += 1) if (a[i] !== b[i]) return false;
  return true;
}

/** Orders byte strings by unsigned bytes, shorter first on a common prefix. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const shared = Math.min(a.length, b.length);
  for (let i = 0; i < shared; i += 1) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

/** UTF-8 bytes of `text`, which must be well-formed (our own constants and parsed strings are). */
export function formatUtf8(text: string): Uint8Array {
  return (text.length <= SHORT_TEXT ? formatAscii(text) : undefined) ?? encoder.encode(text);
}

/** An array of at most so many bytes is memory of the engine's own heap, and filled sooner than the encoder is called. */
const SHORT_TEXT = 64;

/** The bytes of a text that is ASCII, else undefined. */
function formatAscii(text: string): Uint8Array | undefined {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i += 1) {
    const code = text.charCodeAt(i);
    if (code > 0x7f) return undefined;
    bytes[i] = code;
  }
  return bytes;
}

/**
 * Text of UTF-8 `bytes`; a byte order mark is kept as U+FEFF.
 *
 * @throws {FormatError} ERR_UTF8
 */
export function parseUtf8(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch {
    throw new FormatError("ERR_UTF8", "the bytes are not valid UTF-8");
  }
}

/** `value` as two bytes, big-endian; requires 0 <= value < 2^16. */
export function formatUint16(value: number): Uint8Array {
  invariant(Number.isInteger(value) && value >= 0 && value <= 0xffff, "formatUint16: out of range");
  return Uint8Array.of(value >>> 8, value & 0xff);
}

/** `value` as four bytes, big-endian; requires 0 <= value < 2^32. */
export function formatUint32(value: number): Uint8Array {
  invariant(Number.isInteger(value) && value >= 0 && value <= 0xffffffff, "formatUint32: out of range");
  return Uint8Array.of(value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff);
}

const MAX_UINT64 = (1n << 64n) - 1n;

/** `value` as eight bytes, big-endian; requires 0 <= value < 2^64. */
export function formatUint64(value: bigint): Uint8Array {
  invariant(value >= 0n && value <= MAX_UINT64, "formatUint64: out of range");
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, value);
  return bytes;
}

/**
 * The byte string `lp(x)`: a four-byte big-endian length, then the bytes.
 */
export function lengthPrefixed(bytes: Uint8Array): Uint8Array {
  return concat(formatUint32(bytes.length), bytes);
}
