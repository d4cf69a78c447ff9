/** JSON Pointers (RFC 6901): the leaves of a JSON value, each under its path. */

import { FormatError } from "../errors.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "./value.ts";

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
export function listFields(value: JsonValue, maxFields: number): readonly JsonField[] {
  const fields: JsonField[] = [];
  const visit = (item: JsonValue, pointer: string): void => {
    const children = isField(item) ? [] : childrenOf(item);
    for (const [step, child] of children) visit(child, `${pointer}/${escapeStep(step)}`);
    if (children.length > 0) return;
    if (fields.length === maxFields) throw new FormatError("ERR_JSON_SIZE", `want at most ${maxFields} fields`);
    fields.push({ pointer, value: isField(item) ? item : {} });
  };
  visit(value, "");
  return fields;
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

/** True if `text` is a JSON Pointer. */
export function isJsonPointer(text: string): boolean {
  return (text === "" || text.startsWith("/")) && !/~(?![01])/u.test(text);
}

function childrenOf(value: JsonValue): readonly (readonly [string, JsonValue])[] {
  if (isJsonObject(value)) return membersOf(value);
  return Array.isArray(value) ? value.map((item: JsonValue, index) => [String(index), item]) : [];
}

function membersOf(object: JsonObject): readonly (readonly [string, JsonValue])[] {
  return Object.entries(object).flatMap(([key, item]) => (item === undefined ? [] : [[key, item]]));
}

function escapeStep(step: string): string {
  return step.replaceAll("~", "~0").replaceAll("/", "~1");
}
