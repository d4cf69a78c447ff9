/** `secret.token-crc32`: tokens of GitHub and npm, whose last six characters are the CRC-32 of the thirty before, in base 62. */

import { crc32 } from "node:zlib";
import type { Hit } from "./hit.ts";

const TOKEN = /(?<![A-Za-z0-9_])(?:gh[pousr]|npm)_([0-9A-Za-z]{30})([0-9A-Za-z]{6})(?![0-9A-Za-z_])/gu;
const DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/** Finds tokens whose checksum holds; a wrong one is no finding. */
export function findCrcTokens(text: string): readonly Hit[] {
  return [...text.matchAll(TOKEN)]
    .filter(({ 1: random = "", 2: sum = "" }) => base62(crc32(random)) === sum)
    .map(({ 0: token, index }) => ({
      rule: "secret.token-crc32",
      severity: "warn",
      start: index,
      end: index + token.length,
    }));
}

function base62(value: number): string {
  let text = "";
  for (let rest = value; rest > 0; rest = Math.floor(rest / 62)) text = DIGITS.charAt(rest % 62) + text;
  return text.padStart(6, "0");
}
