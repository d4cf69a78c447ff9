/** What shapes say of a value that they refuse, and the questions that they ask of any value. */

import { FormatError } from "./errors.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "./json/value.ts";

/** @throws {FormatError} ERR_SHAPE unless `value` is an object */
export function requireObject(value: JsonValue, path: string): JsonObject {
  if (isJsonObject(value)) return value;
  throw refuse(path, "an object", value);
}

/** Anchored and without the exception that `$` makes for a line feed at the end. */
export function matchesAll(pattern: RegExp, text: string): boolean {
  return pattern.exec(text)?.[0] === text;
}

/** True for lower-case hexadecimal digits alone: there are many of them, and a pattern costs more than this. */
export function hasHexDigits(text: string): boolean {
  for (let i = 0; i < text.length; i += 1) {
    const code = text.charCodeAt(i);
    const isDigit = (code >= 0x30 && code <= 0x39) || (code >= 0x61 && code <= 0x66);
    if (!isDigit) return false;
  }
  return true;
}

/** True for an array, whose items stay unknown values. */
export function isArray(value: JsonValue): value is readonly JsonValue[] {
  return Array.isArray(value);
}

/** The fault at `path`: what was wanted there, and what kind of thing was found. */
export function refuse(path: string, want: string, got: JsonValue | undefined): FormatError {
  return new FormatError("ERR_SHAPE", `${path}: want ${want}, got ${describe(got)}`);
}

/** What kind of value it is; strings by length alone, since they may be secret. */
function describe(value: JsonValue | undefined): string {
  if (value === undefined) return "nothing";
  if (value === null) return "null";
  if (typeof value === "string") return `a string of ${value.length} characters`;
  if (typeof value === "object") return isArray(value) ? `an array of ${value.length} items` : "an object";
  return String(value);
}

/** A key from outside, made safe for a message. */
export function printable(key: string): string {
  return JSON.stringify(key.slice(0, 64));
}
