/** Under what a token is remembered, so that none can be read in memory. */

import { sha256 } from "#crypto";
import { formatUtf8 } from "../../kernel/bytes.ts";
import { formatHex } from "../../kernel/hex.ts";

/** Hex SHA-256 of the token. */
export function tokenHash(token: string): string {
  return formatHex(sha256(formatUtf8(token)));
}
