/**
 * Canonical JSON: JCS, RFC 8785. The one byte form of a value, which is what gets hashed, signed and stored.
 *
 * Keys in the order of their UTF-16 code units, no white space, numbers and strings as ECMAScript writes them.
 */

import { formatUtf8 } from "../bytes.ts";
import { FormatError, invariant } from "../errors.ts";
import { constantFacts } from "./constant.ts";
import { type JsonLimits, parseSpelledJson, readJsonText } from "./parse.ts";
import { isWellFormed, type JsonObject, type JsonValue } from "./value.ts";

/** Text that JSON writes as it is: printable ASCII without quote and backslash. */
const PLAIN = /^[ !#-[\]-~]*$/;

/**
 * The canonical text of `value`; members that are `undefined` count as absent.
 *
 * @throws {FormatError} ERR_JSON_SURROGATE on a string or key that has no UTF-8 form, ERR_JSON_NUMBER on NaN and
 *   infinities (RFC 8785 §3.2.2.3)
 */
export function formatCanonical(value: JsonValue): string {
  if (typeof value === "string") return formatString(value);
  if (typeof value === "number") return formatNumber(value);
  if (typeof value === "boolean") return value ? "true" : "false";
  if (value === null) return "null";
  const known = constantFacts(value);
  if (known?.text !== undefined) return known.text;
  const text = formatContainer(value);
  if (known !== undefined) known.text = text;
  return text;
}

function formatContainer(value: readonly JsonValue[] | JsonObject): string {
  return isArray(value) ? formatArray(value) : formatObject(value);
}

/** UTF-8 of `formatCanonical(value)`. */
export function canonicalBytes(value: JsonValue): Uint8Array {
  return formatUtf8(formatCanonical(value));
}

/**
 * The value of a document that must be in canonical form already.
 *
 * @throws {FormatError} ERR_JSON_CANONICAL if it is JSON in another spelling; else as parseJson
 */
export function parseCanonical(input: Uint8Array | string, limits: JsonLimits = {}): JsonValue {
  const { value, isCanonical } = parseSpelledJson(readJsonText(input, limits), limits);
  if (isCanonical) return value;
  throw new FormatError("ERR_JSON_CANONICAL", "want the RFC 8785 form: sorted keys, no white space, one spelling");
}

function formatString(text: string): string {
  if (PLAIN.test(text)) return `"${text}"`;
  // RFC 8785 §3.2.2.2: lone surrogates MUST be an error; JSON.stringify would escape them.
  if (!isWellFormed(text)) throw new FormatError("ERR_JSON_SURROGATE", "a string or key holds a lone surrogate");
  return JSON.stringify(text);
}

/** RFC 8785 §3.2.2.3: as ECMAScript writes it, which makes −0 a 0. */
function formatNumber(value: number): string {
  if (!Number.isFinite(value)) throw new FormatError("ERR_JSON_NUMBER", "NaN and infinities are not JSON");
  return String(value);
}

function formatArray(array: readonly JsonValue[]): string {
  let text = "[";
  for (let i = 0; i < array.length; i += 1) {
    const item = array[i];
    invariant(item !== undefined, "formatCanonical: an array has a hole");
    text += i === 0 ? formatCanonical(item) : `,${formatCanonical(item)}`;
  }
  return `${text}]`;
}

/**
 * The members of `object` in canonical order, each as `"key":value`: whoever needs an object's text with and without a member
 * puts both together of these.
 *
 * @throws {FormatError} as formatCanonical
 */
export function formatMembers(object: JsonObject): ReadonlyMap<string, string> {
  const members = new Map<string, string>();
  for (const key of sortedKeys(object)) {
    const value = object[key];
    if (value !== undefined) members.set(key, `${formatString(key)}:${formatCanonical(value)}`);
  }
  return members;
}

/** RFC 8785 §3.2.3: sorted by UTF-16 code units, which is how ECMAScript compares strings. */
function formatObject(object: JsonObject): string {
  let text = "";
  for (const key of sortedKeys(object)) {
    const value = object[key];
    if (value === undefined) continue;
    text += `${text === "" ? "" : ","}${formatString(key)}:${formatCanonical(value)}`;
  }
  return `{${text}}`;
}

/** Objects that come from canonical bytes, and small ones, are mostly in this order already. */
function sortedKeys(object: JsonObject): readonly string[] {
  const keys = Object.keys(object);
  for (let i = 1; i < keys.length; i += 1) if ((keys[i - 1] ?? "") > (keys[i] ?? "")) return keys.sort();
  return keys;
}

function isArray(value: readonly JsonValue[] | JsonObject): value is readonly JsonValue[] {
  return Array.isArray(value);
}
