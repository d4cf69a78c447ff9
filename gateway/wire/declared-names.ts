/**
 * Names that a tool's input schema declares, to find an argument that only looks like one: policy would see no `path`
 * where a case-insensitive server reads `PATH` as `path`.
 */

import { isJsonObject, type JsonObject, type JsonValue } from "../../kernel/json/value.ts";
import { foldKey } from "./fold.ts";

/** The declared names of an object and of what is nested in it. */
export interface DeclaredNames {
  readonly names: ReadonlyMap<string, DeclaredNames | undefined>;
  readonly folds: ReadonlySet<string>;
}

const MAX_DEPTH = 32;

/** The names of a schema; undefined if it declares none. Arrays stand for their items. */
export function declaredNames(schema: JsonValue | undefined, depth = 0): DeclaredNames | undefined {
  if (!isJsonObject(schema) || depth > MAX_DEPTH) return undefined;
  const { properties, items } = schema;
  if (!isJsonObject(properties)) return declaredNames(items, depth + 1);
  const names = new Map(
    Object.entries(properties).map(([name, property]) => [name, declaredNames(property, depth + 1)] as const),
  );
  return { names, folds: new Set([...names.keys()].map(foldKey)) };
}

/** True if a key of the arguments, at any declared depth, is not declared and folds to a name that is. */
export function hasDeclaredAlias(value: JsonValue | undefined, declared: DeclaredNames | undefined): boolean {
  if (declared === undefined || typeof value !== "object" || value === null) return false;
  if (!isJsonObject(value)) return Object.values(value).some((item: JsonValue) => hasDeclaredAlias(item, declared));
  return hasOwnAlias(value, declared) || hasNestedAlias(value, declared);
}

function hasOwnAlias(value: JsonObject, { names, folds }: DeclaredNames): boolean {
  return Object.keys(value).some((key) => !names.has(key) && folds.has(foldKey(key)));
}

function hasNestedAlias(value: JsonObject, { names }: DeclaredNames): boolean {
  return Object.entries(value).some(([key, item]) => hasDeclaredAlias(item, names.get(key)));
}
