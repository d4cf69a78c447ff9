/** Base64url of RFC 4648 §5 without padding, canonical: what JOSE, TRACE and SCRAPI write. */

import { formatBase64, parseBase64 } from "./base64.ts";
import { FormatError } from "./errors.ts";

const PATTERN = /^[A-Za-z0-9_-]*$/;

/** Unpadded base64url of `bytes`. */
export function formatBase64url(bytes: Uint8Array): string {
  return formatBase64(bytes).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/u, "");
}

/**
 * Bytes of canonical unpadded base64url `text`.
 *
 * @param length  the byte count that the format fixes, if it does
 * @throws {FormatError} ERR_BASE64 on any other spelling, ERR_BYTES_LENGTH
 */
export function parseBase64url(text: string, length?: number): Uint8Array {
  if (PATTERN.exec(text)?.[0] !== text || text.length % 4 === 1) {
    throw new FormatError("ERR_BASE64", "want base64url without padding");
  }
  const padding = "=".repeat((4 - (text.length % 4)) % 4);
  return parseBase64(text.replaceAll("-", "+").replaceAll("_", "/") + padding, length);
}
