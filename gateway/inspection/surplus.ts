/** `surplus.undeclared`: members of arguments or of structured content that the approved schema does not declare. */

import { isJsonObject, type JsonValue } from "../../kernel/json/value.ts";
import { type DeclaredNames, declaredNames } from "../wire/declared-names.ts";

/** Paths of the outermost undeclared members. A schema that declares nothing has nothing beside it. */
export function surplusPaths(
  value: JsonValue | undefined,
  schema: JsonValue | undefined,
): readonly (readonly string[])[] {
  const declared = declaredNames(schema);
  return declared === undefined ? [] : collect(value, declared, []);
}

function collect(
  value: JsonValue | undefined,
  declared: DeclaredNames,
  path: readonly string[],
): readonly (readonly string[])[] {
  if (typeof value !== "object" || value === null) return [];
  const isObject = isJsonObject(value);
  // An object without declared members takes any.
  if (isObject && declared.names.size === 0 && declared.others === undefined) return [];
  return Object.entries(value).flatMap(([key, item]: [string, JsonValue | undefined]) => {
    const here = [...path, key];
    if (!isObject) return collect(item, declared, here);
    const next = declared.names.get(key) ?? declared.others;
    return next === undefined ? [here] : collect(item, next, here);
  });
}
