/** Walks over JSON: every string and every number, each with its path. */

import { isJsonObject, type JsonValue } from "../../kernel/json/value.ts";

/** A scalar with something to read, and where it stands: member names and array indexes. */
export interface Leaf {
  readonly path: readonly string[];
  readonly value: string | number;
}

/** Every string and number below a value, in its order. The strict scan has bounded depth and count. */
export function leavesOf(value: JsonValue | undefined): readonly Leaf[] {
  const leaves: Leaf[] = [];
  addLeaves(value, [], leaves);
  return leaves;
}

/** @param path  of the value; the same list on the whole way */
function addLeaves(value: JsonValue | undefined, path: string[], leaves: Leaf[]): void {
  if (typeof value === "string" || typeof value === "number") leaves.push({ path: [...path], value });
  if (typeof value !== "object" || value === null) return;
  for (const [key, item] of Object.entries(value)) {
    path.push(key);
    addLeaves(item, path, leaves);
    path.pop();
  }
}

/** The nearest member name above a path: an element of a list is called as the list is. */
export function keyOf(path: readonly string[]): string | undefined {
  return path.findLast((step) => !isIndex(step));
}

/** True for a step that says which element of a list, and not how it is called. */
export function isIndex(step: string): boolean {
  const first = step.charCodeAt(0);
  return first >= DIGIT_0 && first <= DIGIT_9 && INDEX.test(step);
}

const INDEX = /^\d{1,9}$/u;
const DIGIT_0 = 0x30;
const DIGIT_9 = 0x39;

/** Longer names are sentences. */
const MAX_NAME = 24;

/** A member name that is a sentence, or not plain ASCII, is read as text. */
export function isSpoken(name: string): boolean {
  if (name.length > MAX_NAME) return true;
  for (let at = 0; at < name.length; at += 1) {
    const code = name.charCodeAt(at);
    if (code <= 0x20 || code >= 0x7f) return true;
  }
  return false;
}

/** Paths of the members below a value whose names are wanted. */
export function namesOf(
  value: JsonValue | undefined,
  isWanted: (name: string) => boolean,
): readonly (readonly string[])[] {
  const names: string[][] = [];
  addNames(value, [], isWanted, names);
  return names;
}

function addNames(
  value: JsonValue | undefined,
  path: string[],
  isWanted: (name: string) => boolean,
  names: string[][],
): void {
  if (typeof value !== "object" || value === null) return;
  const isObject = isJsonObject(value);
  for (const [key, item] of Object.entries(value)) {
    path.push(key);
    if (isObject && isWanted(key)) names.push([...path]);
    addNames(item, path, isWanted, names);
    path.pop();
  }
}

/** The value at a path; undefined if there is none. */
export function valueAt(value: JsonValue | undefined, path: readonly string[]): JsonValue | undefined {
  let found: JsonValue | undefined = value;
  for (const step of path) {
    if (typeof found !== "object" || found === null) return undefined;
    if (isJsonArray(found)) found = found[Number(step)];
    else if (isJsonObject(found)) found = Object.hasOwn(found, step) ? found[step] : undefined;
  }
  return found;
}

/** True for a list. */
export function isJsonArray(value: JsonValue | undefined): value is readonly JsonValue[] {
  return Array.isArray(value);
}
