/** What a text says once it is decoded: the ways in which a value is hidden without effort. Pure; only printable text counts. */

import { parseUtf8 } from "../../kernel/bytes.ts";
import { isCodedError } from "../../kernel/errors.ts";

/** Longest text that is decoded, and most parts of one text. */
const MAX_CHARACTERS = 16_384;
const MAX_PARTS = 64;
/** Shorter parts decode to values that are too short to compare. */
const MIN_PART = 8;

const PARTS = /[/?&=.#]+/u;
const BASE64 = /^[A-Za-z0-9+/_-]+={0,2}$/u;
const HEX = /^(?:[0-9a-fA-F]{2})+$/u;
// biome-ignore lint/suspicious/noControlCharactersInRegex: bytes that no text has
const CONTROL = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffd]/u;

/** The texts that `text`, or one of its parts at `/?&=.#`, decodes to by percent, base64, base64url or hex. */
export function decodings(text: string): readonly string[] {
  if (text.length > MAX_CHARACTERS) return [];
  const parts = [text, ...text.split(PARTS).slice(0, MAX_PARTS)].filter((part) => part.length >= MIN_PART);
  const found = new Set<string>();
  for (const part of parts) {
    for (const decoded of [fromPercent(part), fromBase64(part), fromHex(part)]) {
      if (decoded !== undefined && decoded !== text) found.add(decoded);
    }
  }
  return [...found];
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
  if (bytes.length === 0) return undefined;
  try {
    const text = parseUtf8(bytes);
    return CONTROL.test(text) ? undefined : text;
  } catch (error) {
    if (isCodedError(error)) return undefined;
    throw error;
  }
}
