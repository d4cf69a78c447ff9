/** Lower-case hexadecimal, strict. */

import { FormatError } from "./errors.ts";

const DIGITS = "0123456789abcdef";
const PATTERN = /^(?:[0-9a-f]{2})*$/;

/** Lower-case hexadecimal of `bytes`. */
export function formatHex(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += DIGITS.charAt(byte >>> 4) + DIGITS.charAt(byte & 15);
  return text;
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
