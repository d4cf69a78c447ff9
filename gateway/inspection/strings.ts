/** Walks over JSON: every string and every number, each with its path. */

import { isJsonObject, type JsonValue } from "../../kernel/json/value.ts";

/** A scalar with something to read, and where it stands: member names and array indexes. */
export interface Leaf {
  readonly path: readonly string[];
  readonly value: string | number;
}

/** Every string and number below a value, in its order. The strict scan has bounded depth and count. */
export function* leavesOf(value: JsonValue | undefined, path: readonly string[] = []): Generator<Leaf> {
  if (typeof value === "string" || typeof value === "number") yield { path, value };
  if (typeof value !== "object" || value === null) return;
  for (const [key, item] of Object.entries(value)) yield* leavesOf(item, [...path, key]);
}

/** The nearest member name above a path: an element of a list is called as the list is. */
export function keyOf(path: readonly string[]): string | undefined {
  return path.findLast((step) => !/^\d{1,9}$/u.test(step));
}

/** Names of members below a value, with the path of each. */
export function* namesOf(value: JsonValue | undefined, path: readonly string[] = []): Generator<readonly string[]> {
  if (typeof value !== "object" || value === null) return;
  for (const [key, item] of Object.entries(value)) {
    if (isJsonObject(value)) yield [...path, key];
    yield* namesOf(item, [...path, key]);
  }
}
