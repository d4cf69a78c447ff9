/** Lower-case hexadecimal, strict. */

import { FormatError } from "./errors.ts";

/** `00` to `ff`. */
const PAIRS: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));
/** Codes of `0` to `f`. */
const DIGITS: readonly number[] = Array.from({ length: 16 }, (_, digit) => digit.toString(16).charCodeAt(0));
/** Digits of one hash, of which there are very many: a text that is put together of pairs is a chain of texts. */
const hashDigits: number[] = Array.from({ length: 64 }, () => 0);
const PATTERN = /^(?:[0-9a-f]{2})*$/;

/** Lower-case hexadecimal of `bytes`. */
export function formatHex(bytes: Uint8Array): string {
  if (2 * bytes.length === hashDigits.length) return formatHash(bytes);
  let text = "";
  for (let i = 0; i < bytes.length; i += 1) text += PAIRS[bytes[i] ?? 0] ?? "";
  return text;
}

function formatHash(bytes: Uint8Array): string {
  for (let i = 0; i < bytes.length; i += 1) {
    const byte = bytes[i] ?? 0;
    hashDigits[2 * i] = DIGITS[byte >> 4] ?? 0;
    hashDigits[2 * i + 1] = DIGITS[byte & 15] ?? 0;
  }
  return String.fromCharCode(...hashDigits);
}

/** True if `text` is the lower-case hexadecimal of `bytes`; no text is made to compare it with. */
export function isHexOf(text: string | undefined, bytes: Uint8Array): boolean {
  if (text?.length !== 2 * bytes.length) return false;
  for (let i = 0; i < bytes.length; i += 1) {
    const byte = bytes[i] ?? 0;
    if (text.charCodeAt(2 * i) !== DIGITS[byte >> 4] || text.charCodeAt(2 * i + 1) !== DIGITS[byte & 15]) return false;
  }
  return true;
}

/**
 * Bytes of lower-case hexadecimal `text`.
 *
 * @param length  the byte count that the format fixes, if it does
 * @throws {FormatError} ERR_HEX on upper case, odd length, another character or another length
 */
export function parseHex(text: string, length?: number): Uint8Array {
  if (!PATTERN.test(text) || text.endsWith("\n")) throw new FormatError("ERR_HEX", "want lower-case hexadecimal");
  if (length !== undefined && text.length !== 2 * length) {
    throw new FormatError("ERR_HEX", `want ${2 * length} hexadecimal digits, got ${text.length}`);
  }
  const bytes = new Uint8Array(text.length / 2);
  for (let i = 0; i < bytes.length; i += 1) bytes[i] = Number.parseInt(text.slice(2 * i, 2 * i + 2), 16);
  return bytes;
}
