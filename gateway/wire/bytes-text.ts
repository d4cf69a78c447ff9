/** Bytes that are text: what is decoded from base64, hexadecimal digits and percent escapes, and what stands where media are said to be. */

import { isUtf8 } from "node:buffer";

/** Of what is read, so much may be no text. */
const UNREADABLE_SHARE = 10;
const REPLACEMENT = 0xfffd;
const BYTE_ORDER_MARK = [0xff, 0xfe] as const;

/** The bytes as text (UTF-8, else UTF-16 of ASCII), if nine tenths of it can be read. Cost: linear. */
export function textOfBytes(bytes: Uint8Array): string | undefined {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const narrow = mostlyReadable(buffer.toString("utf8"));
  if (narrow !== undefined || !mayBeWide(bytes)) return narrow;
  return mostlyReadable(buffer.toString("utf16le"));
}

/** True if all of the text is there: UTF-8, or UTF-16 of ASCII, without control characters. */
export function isWholeText(bytes: Uint8Array, text: string): boolean {
  return (isUtf8(bytes) || mayBeWide(bytes)) && unreadableIn(text, 0) === 0;
}

function mayBeWide([first, second]: Uint8Array): boolean {
  return second === 0 || (first === BYTE_ORDER_MARK[0] && second === BYTE_ORDER_MARK[1]);
}

function mostlyReadable(text: string): string | undefined {
  const most = text.length / UNREADABLE_SHARE;
  return text.length > 0 && unreadableIn(text, most) <= most ? text : undefined;
}

/** Characters that no text is full of, counted until there are more than `most`. */
function unreadableIn(text: string, most: number): number {
  let count = 0;
  for (let at = 0; at < text.length && count <= most; at += 1) if (isUnreadable(text.charCodeAt(at))) count += 1;
  return count;
}

/** Control characters but white space, and what stands for bytes that are no UTF-8. */
function isUnreadable(code: number): boolean {
  if (code > 0x1f) return code === 0x7f || code === REPLACEMENT;
  return code < 0x09 || code > 0x0d;
}
