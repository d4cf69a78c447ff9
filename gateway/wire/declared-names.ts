/**
 * Names that a tool's input schema declares, to find an argument that only looks like one: policy would see no `path`
 * where a case-insensitive server reads `PATH` as `path`.
 */

import { isJsonObject, type JsonObject, type JsonValue } from "../../kernel/json/value.ts";
import { foldKey } from "./fold.ts";

/** The declared names of an object and of what is nested in it; a recursive schema gives a cycle. */
export interface DeclaredNames {
  readonly names: ReadonlyMap<string, DeclaredNames>;
  readonly folds: ReadonlySet<string>;
  /** For members that are not declared by name, if the schema says what they are. */
  readonly others: DeclaredNames | undefined;
}

/**
 * The names of a schema, local `$ref` and `allOf`, `anyOf`, `oneOf` followed. Arrays stand for their items, since their
 * elements are looked at one by one.
 */
export function declaredNames(schema: JsonValue | undefined): DeclaredNames | undefined {
  if (!isJsonObject(schema)) return undefined;
  const read = known.get(schema) ?? collect(schema, schema, new Map());
  known.set(schema, read);
  return read;
}

/** Schemas stand in definitions that are kept for many calls. */
const known = new WeakMap<JsonObject, DeclaredNames>();

type Found = Map<JsonObject, DeclaredNames>;

function collect(schema: JsonObject, root: JsonObject, found: Found): DeclaredNames {
  const known = found.get(schema);
  if (known !== undefined) return known;
  const names = new Map<string, DeclaredNames>();
  const folds = new Set<string>();
  const parts = partsOf(schema, root);
  const rest = parts.map((part) => part["additionalProperties"]).find(isJsonObject);
  const declared = { names, folds, others: undefined as DeclaredNames | undefined };
  found.set(schema, declared);
  for (const { properties } of parts) {
    for (const [name, property] of isJsonObject(properties) ? Object.entries(properties) : []) {
      folds.add(foldKey(name));
      names.set(name, isJsonObject(property) ? collect(property, root, found) : NOTHING);
    }
  }
  if (rest !== undefined) declared.others = collect(rest, root, found);
  return declared;
}

const NOTHING: DeclaredNames = { names: new Map(), folds: new Set(), others: undefined };

/** The schema and every schema that speaks about the same object, or about the elements of the same array. */
function partsOf(schema: JsonObject, root: JsonObject): readonly JsonObject[] {
  const parts = new Set<JsonObject>();
  const waiting: JsonValue[] = [schema];
  for (let part = waiting.pop(); part !== undefined; part = waiting.pop()) {
    if (!isJsonObject(part) || parts.has(part)) continue;
    parts.add(part);
    const { $ref, items, prefixItems, allOf, anyOf, oneOf } = part;
    waiting.push(resolve($ref, root), items ?? null);
    for (const list of [prefixItems, allOf, anyOf, oneOf]) waiting.push(...listed(list));
  }
  return [...parts];
}

function listed(value: JsonValue | undefined): readonly JsonValue[] {
  const items: readonly JsonValue[] = Array.isArray(value) ? value : [];
  return items;
}

/** Target of a local reference; null if there is none. */
function resolve(reference: JsonValue | undefined, root: JsonObject): JsonValue {
  if (typeof reference !== "string" || !reference.startsWith("#/")) return reference === "#" ? root : null;
  let target: JsonValue = root;
  for (const step of reference.slice(2).split("/")) {
    const key = step.replaceAll("~1", "/").replaceAll("~0", "~");
    target = isJsonObject(target) ? (target[key] ?? null) : null;
  }
  return target;
}

/** True if a key of the arguments, at any declared depth, is not declared and folds to a name that is. */
export function hasDeclaredAlias(value: JsonValue | undefined, declared: DeclaredNames | undefined): boolean {
  if (declared === undefined || typeof value !== "object" || value === null) return false;
  if (!isJsonObject(value)) return Object.values(value).some((item: JsonValue) => hasDeclaredAlias(item, declared));
  const { names, folds, others } = declared;
  const keys = Object.keys(value);
  for (const key of keys) if (!names.has(key) && folds.has(foldKey(key))) return true;
  for (const key of keys) if (hasDeclaredAlias(value[key], names.get(key) ?? others)) return true;
  return false;
}
