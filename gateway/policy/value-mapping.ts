/**
 * From JSON Schema to Cedar: the type of an argument, and its value in one request (mcp-gateway §16.1). Compiled once
 * per definition. Values never reach Cedar as they are, so `{"__entity": …}` inside an argument stays data.
 */

import { formatCanonical } from "../../kernel/json/canonical.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../../kernel/json/value.ts";
import type { CedarValueJson, TypeOfAttribute } from "./cedar.ts";

/** What was left out of the context, and why; policy sees these as `context.system`. */
export interface MappingReport {
  readonly undeclared: Set<string>;
  readonly truncated: Set<string>;
  /** A number or time that Cedar cannot carry exactly was left out. */
  inexact: boolean;
  /** A value is not of its declared type: policy would see nothing where the server sees something. */
  mismatched: boolean;
}

/** A Cedar type and the function that makes a value of it; undefined where the value has none and is left out. */
export interface ValueMapping {
  readonly type: CedarType;
  readonly toCedar: (value: JsonValue, path: string, report: MappingReport) => CedarValueJson | undefined;
}

/** A Cedar type in schema JSON. */
export type CedarType = TypeOfAttribute<string>;

/** Thrown inside while compiling: the schema cannot be typed, and the definition becomes opaque. */
export class OpaqueSchema extends Error {}

const MAX_STRING = 4096;
const MAX_DEPTH = 8;
const RESERVED = new Set(["__entity", "__extn", "__expr"]);
const DECIMAL_MAX = 922_337_203_685_477;
const SCALARS = new Set(["string", "integer", "number", "boolean"]);

/**
 * Compiles one schema.
 *
 * @param root  the whole schema, for local `$ref`
 * @throws {OpaqueSchema} recursive or remote `$ref`, no type, nested deeper than 8, a reserved property name
 */
export function compileMapping(schema: JsonValue | undefined, root: JsonValue, depth = 0): ValueMapping {
  if (depth > MAX_DEPTH) throw new OpaqueSchema("too deep");
  const resolved = resolveReference(schema, root, new Set());
  if (resolved["format"] === "date-time" && resolved["type"] === "string") return datetimeMapping;
  const types = typesOf(resolved);
  const [single] = types;
  if (types.length > 1) return unionMapping(types);
  switch (single) {
    case "string":
      return stringMapping;
    case "integer":
      return longMapping;
    case "number":
      return decimalMapping;
    case "boolean":
      return booleanMapping;
    case "array":
      return arrayMapping(resolved["items"], root, depth);
    case "object":
      return objectMapping(resolved, root, depth);
    default:
      throw new OpaqueSchema("no type");
  }
}

function resolveReference(schema: JsonValue | undefined, root: JsonValue, seen: Set<string>): JsonObject {
  if (schema === undefined || !isJsonObject(schema)) throw new OpaqueSchema("not a schema object");
  const reference = schema["$ref"];
  if (reference === undefined) return schema;
  if (typeof reference !== "string" || !reference.startsWith("#/") || seen.has(reference))
    throw new OpaqueSchema("$ref");
  seen.add(reference);
  let target: JsonValue | undefined = root;
  for (const part of reference.slice(2).split("/")) {
    const key = part.replaceAll("~1", "/").replaceAll("~0", "~");
    target = target !== undefined && isJsonObject(target) ? target[key] : undefined;
  }
  return resolveReference(target, root, seen);
}

/** The JSON types that the schema allows, without null; an enum of strings is a string. */
function typesOf(schema: JsonObject): readonly string[] {
  const { type, enum: values } = schema;
  const list =
    typeof type === "string" ? [type] : Array.isArray(type) ? type.filter((item) => typeof item === "string") : [];
  const named = list.filter((item) => item !== "null");
  if (named.length > 0) return named;
  if (Array.isArray(values) && values.every((item) => typeof item === "string")) return ["string"];
  if (schema["properties"] !== undefined) return ["object"];
  return [];
}

const stringMapping: ValueMapping = {
  type: { type: "String" },
  toCedar: (value, path, report) => {
    if (typeof value !== "string") return mismatch(report);
    if (value.length <= MAX_STRING) return value;
    report.truncated.add(path);
    // A surrogate pair is not cut in half: Cedar refuses lone surrogates.
    return value.slice(0, MAX_STRING).replace(/[\ud800-\udbff]$/, "");
  },
};

const longMapping: ValueMapping = {
  type: { type: "Long" },
  toCedar: (value, _path, report) => {
    if (typeof value !== "number" || !Number.isInteger(value)) return mismatch(report);
    if (Number.isSafeInteger(value)) return value;
    report.inexact = true;
    return undefined;
  },
};

const decimalMapping: ValueMapping = {
  type: { type: "EntityOrCommon", name: "decimal" },
  toCedar: (value, _path, report) => {
    if (typeof value !== "number") return mismatch(report);
    const text = Number.isInteger(value) ? `${value}.0` : String(value);
    if (/^-?\d+\.\d{1,4}$/u.test(text) && Math.abs(value) < DECIMAL_MAX)
      return { __extn: { fn: "decimal", arg: text } };
    report.inexact = true;
    return undefined;
  },
};

const booleanMapping: ValueMapping = {
  type: { type: "Boolean" },
  toCedar: (value, _path, report) => (typeof value === "boolean" ? value : mismatch(report)),
};

const datetimeMapping: ValueMapping = {
  type: { type: "EntityOrCommon", name: "datetime" },
  toCedar: (value, _path, report) => {
    if (typeof value !== "string") return mismatch(report);
    const match = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{3})?(?:Z|[+-]\d{2}:?\d{2})$/u.exec(value);
    const ms = match === null ? Number.NaN : Date.parse(value);
    if (!Number.isNaN(ms)) return { __extn: { fn: "datetime", arg: new Date(ms).toISOString() } };
    report.inexact = true;
    return undefined;
  },
};

function arrayMapping(items: JsonValue | undefined, root: JsonValue, depth: number): ValueMapping {
  const element = scalarElement(items, root, depth);
  return {
    type: { type: "Set", element: element?.type ?? { type: "String" } },
    toCedar: (value, path, report) => {
      if (!Array.isArray(value)) return mismatch(report);
      const list: readonly JsonValue[] = value;
      const mapped = list.map((item) =>
        element === undefined
          ? stringMapping.toCedar(formatCanonical(item), path, report)
          : element.toCedar(item, path, report),
      );
      return mapped.filter((item) => item !== undefined);
    },
  };
}

/** The mapping of the elements if all are of one scalar type. */
function scalarElement(items: JsonValue | undefined, root: JsonValue, depth: number): ValueMapping | undefined {
  if (items === undefined) return undefined;
  try {
    const types = typesOf(resolveReference(items, root, new Set()));
    const [type] = types;
    return types.length === 1 && type !== undefined && SCALARS.has(type)
      ? compileMapping(items, root, depth + 1)
      : undefined;
  } catch (error) {
    if (error instanceof OpaqueSchema) return undefined;
    throw error;
  }
}

function objectMapping(schema: JsonObject, root: JsonValue, depth: number): ValueMapping {
  const properties = schema["properties"];
  if (properties === undefined || !isJsonObject(properties)) return keySetMapping;
  const members = new Map<string, ValueMapping | undefined>();
  for (const [name, property] of Object.entries(properties)) {
    if (RESERVED.has(name)) throw new OpaqueSchema("a reserved property name");
    members.set(name, compileMember(property, root, depth));
  }
  const attributes = [...members].flatMap(([name, mapping]) =>
    mapping === undefined ? [] : [[name, { ...mapping.type, required: false }] as const],
  );
  return {
    type: { type: "Record", attributes: Object.fromEntries(attributes) },
    toCedar: (value, path, report) => (isJsonObject(value) ? recordOf(value, members, path, report) : mismatch(report)),
  };
}

/** A member without a type of its own is declared and has no attribute; deeper faults make the whole tool opaque. */
function compileMember(property: JsonValue | undefined, root: JsonValue, depth: number): ValueMapping | undefined {
  if (
    property !== undefined &&
    isJsonObject(property) &&
    property["$ref"] === undefined &&
    typesOf(property).length === 0
  ) {
    return undefined;
  }
  return compileMapping(property, root, depth + 1);
}

function recordOf(
  value: JsonObject,
  members: ReadonlyMap<string, ValueMapping | undefined>,
  path: string,
  report: MappingReport,
): CedarValueJson {
  const record: Record<string, CedarValueJson> = {};
  for (const [name, item] of Object.entries(value)) {
    const at = path === "" ? name : `${path}.${name}`;
    if (!members.has(name)) report.undeclared.add(at.slice(0, MAX_STRING));
    const mapping = members.get(name);
    if (mapping === undefined || item === undefined || item === null) continue;
    const mapped = mapping.toCedar(item, at, report);
    if (mapped !== undefined) record[name] = mapped;
  }
  return record;
}

/** An object without declared properties: the set of its keys. */
const keySetMapping: ValueMapping = {
  type: { type: "Set", element: { type: "String" } },
  toCedar: (value, _path, report) =>
    isJsonObject(value) ? Object.keys(value).map((key) => key.slice(0, MAX_STRING)) : mismatch(report),
};

function mismatch(report: MappingReport): undefined {
  report.mismatched = true;
  return undefined;
}

/** A union of scalars: `{ s?, n?, d?, b? }`. */
function unionMapping(types: readonly string[]): ValueMapping {
  if (!types.every((type) => SCALARS.has(type))) throw new OpaqueSchema("a union with arrays or objects");
  const attributes = {
    s: { ...stringMapping.type, required: false },
    n: { ...longMapping.type, required: false },
    d: { ...decimalMapping.type, required: false },
    b: { ...booleanMapping.type, required: false },
  };
  return {
    type: { type: "Record", attributes },
    toCedar: (value, path, report) => {
      const [key, mapping] = unionMember(value);
      if (key === undefined || mapping === undefined) return mismatch(report);
      const mapped = mapping.toCedar(value, path, report);
      return mapped === undefined ? undefined : { [key]: mapped };
    },
  };
}

function unionMember(value: JsonValue): readonly [string, ValueMapping] | readonly [] {
  switch (typeof value) {
    case "string":
      return ["s", stringMapping];
    case "boolean":
      return ["b", booleanMapping];
    case "number":
      return Number.isInteger(value) ? ["n", longMapping] : ["d", decimalMapping];
    default:
      return [];
  }
}
