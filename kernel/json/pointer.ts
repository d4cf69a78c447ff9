/** JSON Pointers (RFC 6901): the leaves of a JSON value, each under its path. */

import { FormatError } from "../errors.ts";
import { isJsonObject, type JsonValue } from "./value.ts";

/** A scalar or an empty container, and where it is. */
export interface JsonField {
  /** RFC 6901: empty for the whole document, else `/`-prefixed steps, `~` as `~0`, `/` as `~1`. */
  readonly pointer: string;
  readonly value: JsonValue;
}

/**
 * The fields of `value`: every scalar and every empty container, in document order. A value that is a field itself has
 * the empty pointer. Members that are `undefined` count as absent.
 *
 * @param maxFields  bound of the work
 * @throws {FormatError} ERR_JSON_SIZE beyond it
 */
export function listFields(value: JsonValue, maxFields: number): JsonField[] {
  const fields: JsonField[] = [];
  visitFields(value, "", fields, maxFields);
  return fields;
}

function visitFields(item: JsonValue, pointer: string, fields: JsonField[], maxFields: number): void {
  const first = fields.length;
  if (isList(item)) {
    for (let i = 0; i < item.length; i += 1) visitFields(item[i] ?? null, `${pointer}/${i}`, fields, maxFields);
  } else if (isJsonObject(item)) {
    for (const key of Object.keys(item)) {
      const child = item[key];
      if (child !== undefined) visitFields(child, `${pointer}/${escapeStep(key)}`, fields, maxFields);
    }
  }
  // A container without fields is one, as a scalar is.
  if (fields.length > first) return;
  if (first === maxFields) throw new FormatError("ERR_JSON_SIZE", `want at most ${maxFields} fields`);
  fields.push({ pointer, value: isJsonObject(item) ? {} : item });
}

/** True for scalars and empty containers: what has no fields below it. */
export function isField(value: JsonValue): boolean {
  if (typeof value !== "object" || value === null) return true;
  return Array.isArray(value) ? value.length === 0 : Object.keys(value).length === 0;
}

/** The pointer to the value at the end of `path`. */
export function formatPointer(path: readonly string[]): string {
  return path.map((step) => `/${escapeStep(step)}`).join("");
}

/**
 * The steps of a pointer.
 *
 * @param pointer  one that `isJsonPointer` holds of
 */
export function parsePointer(pointer: string): readonly string[] {
  const steps = pointer.split("/").slice(1);
  return steps.map((step) => step.replaceAll("~1", "/").replaceAll("~0", "~"));
}

/** True if `text` is a JSON Pointer. */
export function isJsonPointer(text: string): boolean {
  return (text === "" || text.startsWith("/")) && !/~(?![01])/u.test(text);
}

function isList(value: JsonValue): value is readonly JsonValue[] {
  return Array.isArray(value);
}

function escapeStep(step: string): string {
  const escaped = step.includes("~") ? step.replaceAll("~", "~0") : step;
  return escaped.includes("/") ? escaped.replaceAll("/", "~1") : escaped;
}
