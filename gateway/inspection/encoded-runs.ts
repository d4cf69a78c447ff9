/** Runs of base64, base64url or hexadecimal digits in a text that decode to text: what they say, and where they stand. */

import { isUtf8 } from "node:buffer";
import { MARK, type Marks } from "./text-marks.ts";

/** A run, and what it decodes to. */
export interface EncodedRun {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/** What is encoded in what is encoded is looked at, so often. */
export const MAX_ENCODED_DEPTH = 3;
/** Shorter runs hold nothing that is looked for. */
const MIN_RUN = 12;
const SPLITTERS = "/+_-\r\n";
const HEX = /^(?:0x)?[0-9a-fA-F]{14,}$/u;
// biome-ignore lint/suspicious/noControlCharactersInRegex: bytes that no text has
const CONTROL = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f\ufffd]/u;
const NO_RUNS: readonly EncodedRun[] = [];

/** The runs of a text that are text once they are decoded, those of wrapped lines as one. Cost: linear. */
export function encodedRuns(text: string, marks: Marks): readonly EncodedRun[] {
  if ((marks & MARK.run) === 0) return NO_RUNS;
  const runs: EncodedRun[] = [];
  for (let at = 0; at < text.length; at += 1) {
    if (!isIn(text, at)) continue;
    const end = endOfRun(text, at);
    if (end - at >= MIN_RUN) addRun(text, at, end, runs);
    at = end;
  }
  return runs;
}

/** A run as a whole, else its pieces between what may be a separator as well as a digit of base64. */
function addRun(text: string, start: number, end: number, runs: EncodedRun[]): void {
  if (addDecoded(text, start, end, runs)) return;
  let from = start;
  for (let at = start; at <= end; at += 1) {
    if (at < end && !SPLITTERS.includes(text.charAt(at))) continue;
    if (at - from >= MIN_RUN && at - from < end - start) addDecoded(text, from, at, runs);
    from = at + 1;
  }
}

function addDecoded(text: string, start: number, end: number, runs: EncodedRun[]): boolean {
  const raw = text.slice(start, end).replace(/[\r\n]/gu, "");
  const decoded = HEX.test(raw) ? fromHex(raw) : fromBase64(raw);
  if (decoded === undefined) return false;
  runs.push({ start, end: endOfPadding(text, end), text: decoded });
  return true;
}

function fromHex(raw: string): string | undefined {
  const digits = raw.startsWith("0x") ? raw.slice(2) : raw;
  return (digits.length % 2 === 0 ? readable(Buffer.from(digits, "hex")) : undefined) ?? fromBase64(raw);
}

/** Words are of one case: base64 of text has capitals. */
function fromBase64(raw: string): string | undefined {
  return /[A-Z]/u.test(raw) ? readable(Buffer.from(raw, "base64")) : undefined;
}

/** The bytes as text (UTF-8, or UTF-16 of ASCII), if they are some. */
function readable(bytes: Buffer): string | undefined {
  const narrow = bytes.length % 2 === 0 && bytes[1] === 0 ? Buffer.from(bytes.toString("utf16le")) : bytes;
  // Asked first, since most of what looks encoded is not.
  if (!isUtf8(narrow)) return undefined;
  const text = narrow.toString("utf8");
  return CONTROL.test(text) ? undefined : text;
}

/** Behind a run that goes on over line ends: wrapped base64. */
function endOfRun(text: string, start: number): number {
  let end = start;
  for (;;) {
    while (end < text.length && isIn(text, end)) end += 1;
    const next = text.charAt(end) === "\r" ? end + 1 : end;
    if (text.charAt(next) !== "\n" || !isIn(text, next + 1)) return end;
    end = next + 1;
  }
}

function endOfPadding(text: string, from: number): number {
  let end = from;
  while (end < from + 2 && text.charAt(end) === "=") end += 1;
  return end;
}

function isIn(text: string, at: number): boolean {
  const code = text.charCodeAt(at);
  return code < DIGITS.length && DIGITS[code] === 1;
}

/** Digits of base64 and base64url. */
const DIGITS: Uint8Array = Uint8Array.from({ length: 0x80 }, (_, code) =>
  /[A-Za-z0-9+/_-]/u.test(String.fromCharCode(code)) ? 1 : 0,
);
