/** Base64 of RFC 4648 §4: standard alphabet, padded, canonical (decode, re-encode, compare). */

import { FormatError } from "./errors.ts";

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const VALUES = new Int8Array(128).fill(-1);
for (let i = 0; i < ALPHABET.length; i += 1) VALUES[ALPHABET.charCodeAt(i)] = i;

/** Codes of the alphabet's characters. */
const CODES: readonly number[] = Array.from(ALPHABET, (character) => character.charCodeAt(0));
const PADDING = 0x3d;
/** Bytes that are spelled at once. */
const CHUNK_BYTES = 3 * 1024;

/** Padded standard base64 of `bytes`. */
export function formatBase64(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += CHUNK_BYTES) {
    spell(bytes, at, Math.min(at + CHUNK_BYTES, bytes.length));
    text += String.fromCharCode(...spelled);
  }
  return text;
}

/** Characters of one chunk: a text that is put together of them one by one is a chain of texts. */
const spelled: number[] = [];

function spell(bytes: Uint8Array, start: number, end: number): void {
  let length = 0;
  for (let i = start; i < end; i += 3) {
    const [second, third] = [i + 1 < end, i + 2 < end];
    const group = ((bytes[i] ?? 0) << 16) | (second ? (bytes[i + 1] ?? 0) << 8 : 0) | (third ? (bytes[i + 2] ?? 0) : 0);
    spelled[length] = codeAt(group, 18);
    spelled[length + 1] = codeAt(group, 12);
    spelled[length + 2] = second ? codeAt(group, 6) : PADDING;
    spelled[length + 3] = third ? codeAt(group, 0) : PADDING;
    length += 4;
  }
  spelled.length = length;
}

function codeAt(group: number, shift: number): number {
  return CODES[(group >>> shift) & 63] ?? 0;
}

/**
 * Bytes of canonical padded base64 `text`.
 *
 * @param length  the byte count that the format fixes, if it does
 * @throws {FormatError} ERR_BASE64 on any other spelling: padding, white space, other alphabets, non-zero spare bits
 */
export function parseBase64(text: string, length?: number): Uint8Array {
  if (text.length % 4 !== 0) throw new FormatError("ERR_BASE64", "want padded base64: a multiple of four characters");
  const padding = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
  const bytes = new Uint8Array((text.length / 4) * 3 - padding);
  let offset = 0;
  for (let i = 0; i < text.length; i += 4) {
    const group = parseGroup(text, i, i + 4 === text.length ? padding : 0);
    for (let shift = 16; shift >= 0 && offset < bytes.length; shift -= 8, offset += 1) bytes[offset] = group >>> shift;
  }
  if (length !== undefined && bytes.length !== length) {
    throw new FormatError("ERR_BYTES_LENGTH", `want ${length} bytes of base64, got ${bytes.length}`);
  }
  return bytes;
}

/** The 24 bits of four characters, of which the last `padding` are "="; spare bits must be zero. */
function parseGroup(text: string, at: number, padding: number): number {
  let group = 0;
  for (let i = 0; i < 4; i += 1) {
    const value = i >= 4 - padding ? 0 : (VALUES[text.charCodeAt(at + i)] ?? -1);
    if (value < 0) throw new FormatError("ERR_BASE64", "want the standard base64 alphabet");
    group = (group << 6) | value;
  }
  const spareBits = padding === 2 ? 0xffff : padding === 1 ? 0xff : 0;
  if ((group & spareBits) !== 0) throw new FormatError("ERR_BASE64", "want zero spare bits before the padding");
  return group;
}
