/** Canonical decimals: sizes, indexes and times as the transparency-log formats write them. */

import { FormatError } from "./errors.ts";

const PATTERN = /^(?:0|[1-9][0-9]{0,19})$/;
const LIMIT = 1n << 64n;

/**
 * The integer that `text` spells: digits only, no leading zero, below 2^64.
 *
 * @throws {FormatError} ERR_DECIMAL on anything else; the empty text is not zero
 */
export function parseDecimal(text: string): bigint {
  if (!PATTERN.test(text) || text.endsWith("\n")) {
    throw new FormatError("ERR_DECIMAL", "want decimal digits without sign or leading zero");
  }
  const value = BigInt(text);
  if (value >= LIMIT) throw new FormatError("ERR_DECIMAL", "want a decimal below 2^64");
  return value;
}
