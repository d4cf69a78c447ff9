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
  return path.findLast((step) => !/^\d{1,9}$/u.test(step));
}

/** A member name that is a sentence, or not plain ASCII, is read as text. */
export function isSpoken(name: string): boolean {
  return name.length > 24 || !/^[\x21-\x7e]*$/u.test(name);
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
