/** `secret.jwt`: JSON Web Tokens (RFC 7519): three base64url parts, the first of which is a JSON object with `alg`. */

import { isJsonObject, type JsonValue } from "../../kernel/json/value.ts";
import type { Hit } from "./hit.ts";

const SYMBOL = /[A-Za-z0-9_-]/u;
/** `{"` in base64url. */
const START = "eyJ";
const MAX_HEADER = 4096;

/** Finds tokens. A token starts where no base64url character stands before it, so each character is looked at once. */
export function findJwts(text: string): readonly Hit[] {
  const hits: Hit[] = [];
  for (let at = text.indexOf(START); at >= 0; at = text.indexOf(START, at + 1)) {
    if (SYMBOL.test(text.charAt(at - 1))) continue;
    const end = endOfToken(text, at);
    if (end !== undefined) hits.push({ rule: "secret.jwt", severity: "warn", start: at, end });
  }
  return hits;
}

function endOfToken(text: string, start: number): number | undefined {
  const header = endOfPart(text, start);
  if (text.charAt(header) !== "." || header - start > MAX_HEADER) return undefined;
  const payload = endOfPart(text, header + 1);
  if (text.charAt(payload) !== "." || payload === header + 1) return undefined;
  return hasAlgorithm(text.slice(start, header)) ? endOfPart(text, payload + 1) : undefined;
}

function endOfPart(text: string, from: number): number {
  let at = from;
  while (at < text.length && SYMBOL.test(text.charAt(at))) at += 1;
  return at;
}

const readJson: (text: string) => JsonValue = JSON.parse;

function hasAlgorithm(header: string): boolean {
  const text = Buffer.from(header, "base64url").toString("utf8");
  if (!text.includes('"alg"')) return false;
  try {
    const value = readJson(text);
    return isJsonObject(value) && typeof value["alg"] === "string";
  } catch {
    return false;
  }
}
