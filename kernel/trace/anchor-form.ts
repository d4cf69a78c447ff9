/**
 * TRACE documents (TRACE v0.2 and its Registry Anchor Format): how they are parsed, and their anchor form, which is what
 * anchor leaves are hashed from.
 *
 * Anchor form: members sorted by code point, no white space, ASCII only: everything from U+007F up as lower-case `\uxxxx`
 * (surrogate pairs above U+FFFF), `\b \f \n \r \t \" \\` short, `/` as it is, no line end. Numbers are integers within
 * ±(2^53 − 1). JCS sorts by UTF-16 code unit and writes UTF-8; `coincidentBytes` tells where the two agree.
 */

import { compareBytes, equalBytes, formatUtf8 } from "../bytes.ts";
import { FormatError } from "../errors.ts";
import { canonicalBytes } from "../json/canonical.ts";
import { parseJsonText, readJsonText } from "../json/parse.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../json/value.ts";

const MAX_BYTES = 1024 * 1024;
/** A string of JSON text; what is left without them are marks, numbers and words. */
const STRINGS = /"[^"\\]*(?:\\.[^"\\]*)*"/gsu;
/** A digit and what makes a number more than an integer. No word of JSON has a digit. */
const NOT_INTEGER = /[0-9][.eE]/u;
/** Characters that the anchor form writes as they are. */
const PLAIN = /^[ !#-[\]-~]*$/u;
const SHORT: ReadonlyMap<string, string> = new Map([
  ["\b", "\\b"],
  ["\f", "\\f"],
  ["\n", "\\n"],
  ["\r", "\\r"],
  ["\t", "\\t"],
  ['"', '\\"'],
  ["\\", "\\\\"],
]);

/**
 * The object of a TRACE document.
 *
 * @throws {FormatError} as `parseJson`; ERR_TRACE_DOCUMENT if it is no object, or a number has a fraction or exponent, even
 *   one that changes nothing (1.0, 1e3)
 */
export function parseTraceDocument(input: Uint8Array | string): JsonObject {
  const text = readJsonText(input, { maxBytes: MAX_BYTES });
  const value = parseJsonText(text, {});
  if (!isJsonObject(value)) throw new FormatError("ERR_TRACE_DOCUMENT", "want a JSON object");
  // Integers are judged by spelling. The text is JSON here, so every string ends where the pattern says.
  if (NOT_INTEGER.test(text.replace(STRINGS, ""))) {
    throw new FormatError("ERR_TRACE_DOCUMENT", "want integers without fraction or exponent");
  }
  return value;
}

/**
 * The anchor form of a value.
 *
 * @throws {FormatError} ERR_ANCHOR_FORM on numbers that have none: fractions, integers beyond 2^53 − 1, negative zero
 */
export function formatAnchorForm(value: JsonValue): string {
  if (typeof value === "string") return formatString(value);
  if (typeof value === "number") return formatInteger(value);
  if (typeof value === "boolean" || value === null) return String(value);
  return isArray(value) ? `[${value.map(formatAnchorForm).join(",")}]` : formatMembers(value);
}

/** ASCII bytes of `formatAnchorForm(value)`. */
export function anchorBytes(value: JsonValue): Uint8Array {
  return formatUtf8(formatAnchorForm(value));
}

/**
 * The bytes of a value whose JCS and anchor form are the same: what a log of ours can hold as it is, so that the signature
 * over JCS and the anchor leaf mean the same record.
 *
 * @throws {FormatError} ERR_ANCHOR_FORM
 */
export function coincidentBytes(value: JsonObject): Uint8Array {
  const [anchor, canonical] = [anchorBytes(value), canonicalBytes(value)];
  if (equalBytes(anchor, canonical)) return anchor;
  throw new FormatError("ERR_ANCHOR_FORM", "want names and strings of U+0020 to U+007E only");
}

function isArray(value: readonly JsonValue[] | JsonObject): value is readonly JsonValue[] {
  return Array.isArray(value);
}

function formatMembers(object: JsonObject): string {
  const members: { readonly bytes: Uint8Array; readonly text: string }[] = [];
  for (const [name, value] of Object.entries(object)) {
    if (value === undefined) continue;
    members.push({ bytes: formatUtf8(name), text: `${formatString(name)}:${formatAnchorForm(value)}` });
  }
  // The order of UTF-8 bytes is the order of code points; that of UTF-16 code units is not.
  members.sort((a, b) => compareBytes(a.bytes, b.bytes));
  return `{${members.map(({ text }) => text).join(",")}}`;
}

function formatInteger(value: number): string {
  if (Number.isSafeInteger(value) && !Object.is(value, -0)) return String(value);
  throw new FormatError("ERR_ANCHOR_FORM", "want integers within 2^53 - 1, and no negative zero");
}

function formatString(text: string): string {
  if (PLAIN.exec(text)?.[0] === text) return `"${text}"`;
  let escaped = "";
  for (let i = 0; i < text.length; i += 1) escaped += formatUnit(text.charAt(i));
  return `"${escaped}"`;
}

/** One UTF-16 code unit: pairs come out as two escapes. */
function formatUnit(unit: string): string {
  const short = SHORT.get(unit);
  if (short !== undefined) return short;
  const code = unit.charCodeAt(0);
  return code >= 0x20 && code < 0x7f ? unit : `\\u${code.toString(16).padStart(4, "0")}`;
}
