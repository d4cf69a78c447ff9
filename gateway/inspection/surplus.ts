/** `surplus.undeclared`: members of arguments or of structured content that the approved schema does not declare. */

import { isJsonObject, type JsonValue } from "../../kernel/json/value.ts";
import type { DeclaredNames } from "../wire/declared-names.ts";
import { isJsonArray } from "./strings.ts";

type Path = readonly string[];

/** Paths of the outermost undeclared members. A schema that declares nothing has nothing beside it. */
export function surplusPaths(value: JsonValue | undefined, declared: DeclaredNames | undefined): readonly Path[] {
  if (declared === undefined) return NO_PATHS;
  const found: Path[] = [];
  collect(value, declared, [], found);
  return found;
}

/** Of what has no schema, and of what a schema declares as a whole. */
export const NO_PATHS: readonly Path[] = [];

/** @param path  of the value; the same list on the whole way */
function collect(value: JsonValue | undefined, declared: DeclaredNames, path: string[], found: Path[]): void {
  if (isJsonArray(value)) {
    for (let at = 0; at < value.length; at += 1) enter(String(at), value[at], declared, path, found);
  } else if (isJsonObject(value)) {
    const { names, others } = declared;
    // An object without declared members takes any.
    if (names.size === 0 && others === undefined) return;
    for (const key of Object.keys(value)) {
      const next = names.get(key) ?? others;
      if (next === undefined) found.push([...path, key]);
      else enter(key, value[key], next, path, found);
    }
  }
}

function enter(
  step: string,
  value: JsonValue | undefined,
  declared: DeclaredNames,
  path: string[],
  found: Path[],
): void {
  if (typeof value !== "object" || value === null) return;
  path.push(step);
  collect(value, declared, path, found);
  path.pop();
}
