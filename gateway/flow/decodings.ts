/** What a text says once it is decoded: the ways in which a value is hidden without effort. Pure; only printable text counts. */

import { isUtf8 } from "node:buffer";
import { parseUtf8 } from "../../kernel/bytes.ts";

/** Longest text that is decoded, and most parts of one text. */
const MAX_CHARACTERS = 16_384;
const MAX_PARTS = 64;
/** Shorter parts decode to values that are too short to compare. */
const MIN_PART = 8;

const PARTS = /[/?&=.#]+/u;
const BASE64 = /^[A-Za-z0-9+/_-]+={0,2}$/u;
/** Everything that says more once it is decoded, and little else: a `%`, or a text or part that is all of one alphabet. */
const MAY_BE_ENCODED = /%|^[A-Za-z0-9+/_-]+={0,2}$|(?:^|[/?&=.#])[A-Za-z0-9+_-]{8,}(?:[/?&=.#]|$)/u;
const HEX = /^(?:[0-9a-fA-F]{2})+$/u;
// biome-ignore lint/suspicious/noControlCharactersInRegex: bytes that no text has
const CONTROL = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffd]/u;

/** The texts that `text`, or one of its parts at `/?&=.#`, decodes to by percent, base64, base64url or hex. */
export function decodings(text: string): readonly string[] {
  if (text.length < MIN_PART || text.length > MAX_CHARACTERS || !MAY_BE_ENCODED.test(text)) return NONE;
  const found = new Set<string>();
  addDecoded(text, text, found);
  const parts = text.split(PARTS, MAX_PARTS);
  if (parts.length > 1) for (const part of parts) if (part.length >= MIN_PART) addDecoded(part, text, found);
  return [...found];
}

const NONE: readonly string[] = [];

function addDecoded(part: string, text: string, found: Set<string>): void {
  for (const decoded of [fromPercent(part), fromBase64(part), fromHex(part)]) {
    if (decoded !== undefined && decoded !== text) found.add(decoded);
  }
}

function fromPercent(part: string): string | undefined {
  if (!part.includes("%")) return undefined;
  try {
    return decodeURIComponent(part);
  } catch {
    return undefined;
  }
}

function fromBase64(part: string): string | undefined {
  return BASE64.test(part) ? printable(Buffer.from(part, "base64")) : undefined;
}

function fromHex(part: string): string | undefined {
  return HEX.test(part) ? printable(Buffer.from(part, "hex")) : undefined;
}

function printable(bytes: Uint8Array): string | undefined {
  // Asked first, since most of what looks encoded is not, and a fault costs more than all the rest.
  if (bytes.length === 0 || !isUtf8(bytes)) return undefined;
  const text = parseUtf8(bytes);
  return CONTROL.test(text) ? undefined : text;
}
