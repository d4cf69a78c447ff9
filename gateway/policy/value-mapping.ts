/**
 * From JSON Schema to Cedar: the type of an argument, and its value in one request (mcp-gateway §16.1). Compiled once
 * per definition. Values never reach Cedar as they are, so `{"__entity": …}` inside an argument stays data.
 */

import { formatCanonical } from "../../kernel/json/canonical.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../../kernel/json/value.ts";
import type { CedarValueJson, TypeOfAttribute } from "./cedar.ts";

/** What was left out of the context, and why; policy sees these as `context.system`. Most often it is nothing. */
export class MappingReport {
  #undeclared: Set<string> | undefined;
  #truncated: Set<string> | undefined;
  /** A number or time that Cedar cannot carry exactly was left out. */
  inexact = false;
  /** A value is not of its declared type: policy would see nothing where the server sees something. */
  mismatched = false;

  addUndeclared(path: string): void {
    this.#undeclared = (this.#undeclared ?? new Set<string>()).add(path);
  }

  addTruncated(path: string): void {
    this.#truncated = (this.#truncated ?? new Set<string>()).add(path);
  }

  /** Members of `context.system`. */
  members(): { readonly undeclared: string[]; readonly truncated: string[]; readonly inexact: boolean } {
    return {
      undeclared: [...(this.#undeclared ?? [])],
      truncated: [...(this.#truncated ?? [])],
      inexact: this.inexact,
    };
  }
}

/** A Cedar type and the function that makes a value of it; undefined where the value has none and is left out. */
export interface ValueMapping {
  readonly type: CedarType;
  /** True if a value of the declared type may have no Cedar value: its attribute is optional even where it is required. */
  readonly isPartial?: true;
  readonly toCedar: (value: JsonValue, path: string, report: MappingReport) => CedarValueJson | undefined;
}

/** A Cedar type in schema JSON. */
export type CedarType = TypeOfAttribute<string>;

/** One compilation: what bounds it, and whether a member had to be left untyped. */
export interface Compilation {
  /** The whole schema, for local `$ref`. */
  readonly root: JsonValue;
  /** Subschemas that may still be compiled: `$ref` can spell an exponential tree in a short text. */
  left: number;
  /** True if a member has no type that policy could see. */
  isOpaque: boolean;
}

/** Thrown inside while compiling: this schema cannot be typed. */
export class OpaqueSchema extends Error {}

/** Thrown inside while compiling: nothing of the definition may be typed. */
export class OpaqueDefinition extends OpaqueSchema {}

const MAX_STRING = 4096;
const MAX_DEPTH = 8;
const MAX_SUBSCHEMAS = 2000;
const RESERVED = new Set(["__entity", "__extn", "__expr", "__proto__"]);
const DATETIME = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{3})?(?:Z|[+-]\d{2}:?\d{2})$/u;
const DECIMAL_MAX = 922_337_203_685_477;
const SCALARS = new Set(["string", "integer", "number", "boolean"]);

/** A fresh compilation of `root`. */
export function startCompilation(root: JsonValue): Compilation {
  return { root, left: MAX_SUBSCHEMAS, isOpaque: false };
}

/**
 * Compiles one schema.
 *
 * @throws {OpaqueSchema} recursive or remote `$ref`, no type, nested deeper than 8
 * @throws {OpaqueDefinition} a reserved property name, more than 2,000 subschemas
 */
export function compileMapping(schema: JsonValue | undefined, state: Compilation, depth = 0): ValueMapping {
  if (depth > MAX_DEPTH) throw new OpaqueSchema("too deep");
  state.left -= 1;
  if (state.left < 0) throw new OpaqueDefinition("too many subschemas");
  const resolved = resolveReference(schema, state.root, new Set());
  if (resolved["format"] === "date-time" && resolved["type"] === "string") return datetimeMapping;
  const types = typesOf(resolved);
  const [single = "none"] = types;
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
      return arrayMapping(resolved["items"], state, depth);
    case "object":
      return objectMapping(resolved, state, depth);
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
    report.addTruncated(path);
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
  isPartial: true,
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
  isPartial: true,
  toCedar: (value, _path, report) => {
    if (typeof value !== "string") return mismatch(report);
    const ms = DATETIME.test(value) && isRealDay(value.slice(0, 10)) ? Date.parse(value) : Number.NaN;
    if (!Number.isNaN(ms)) return { __extn: { fn: "datetime", arg: new Date(ms).toISOString() } };
    report.inexact = true;
    return undefined;
  },
};

function arrayMapping(items: JsonValue | undefined, state: Compilation, depth: number): ValueMapping {
  const element = scalarElement(items, state, depth);
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
function scalarElement(items: JsonValue | undefined, state: Compilation, depth: number): ValueMapping | undefined {
  if (items === undefined) return undefined;
  try {
    const types = typesOf(resolveReference(items, state.root, new Set()));
    const [type] = types;
    return types.length === 1 && type !== undefined && SCALARS.has(type)
      ? compileMapping(items, state, depth + 1)
      : undefined;
  } catch (error) {
    if (error instanceof OpaqueSchema && !(error instanceof OpaqueDefinition)) return undefined;
    throw error;
  }
}

/** A member of an object: undefined mapping for a member that is declared and has no type that policy could see. */
interface Member {
  readonly mapping: ValueMapping | undefined;
  readonly isRequired: boolean;
}

function objectMapping(schema: JsonObject, state: Compilation, depth: number): ValueMapping {
  const properties = schema["properties"];
  if (properties === undefined || !isJsonObject(properties)) return keySetMapping;
  const listed = schema["required"];
  const required = new Set<JsonValue>(Array.isArray(listed) ? listed : []);
  const members = new Map<string, Member>();
  for (const [name, property] of Object.entries(properties)) {
    if (RESERVED.has(name)) throw new OpaqueDefinition("a reserved property name");
    const mapping = compileMember(property, state, depth);
    const isPartial = mapping === undefined || mapping.isPartial === true || isNullable(property, state.root);
    members.set(name, { mapping, isRequired: required.has(name) && !isPartial });
  }
  const attributes = [...members].flatMap(([name, { mapping, isRequired }]) =>
    mapping === undefined ? [] : [[name, { ...mapping.type, required: isRequired }] as const],
  );
  const needed = [...members].filter(([, { isRequired }]) => isRequired).map(([name]) => name);
  const record = { members, needed };
  return {
    type: { type: "Record", attributes: Object.fromEntries(attributes) },
    toCedar: (value, path, report) => (isJsonObject(value) ? recordOf(value, record, path, report) : mismatch(report)),
  };
}

/** A member that cannot be typed has no attribute, and policy is told that the definition is opaque. */
function compileMember(property: JsonValue | undefined, state: Compilation, depth: number): ValueMapping | undefined {
  try {
    return compileMapping(property, state, depth + 1);
  } catch (error) {
    if (!(error instanceof OpaqueSchema) || error instanceof OpaqueDefinition) throw error;
    state.isOpaque = true;
    return undefined;
  }
}

function isNullable(property: JsonValue | undefined, root: JsonValue): boolean {
  const { type } = resolveReference(property, root, new Set());
  return Array.isArray(type) && type.includes("null");
}

function recordOf(
  value: JsonObject,
  { members, needed }: { readonly members: ReadonlyMap<string, Member>; readonly needed: readonly string[] },
  path: string,
  report: MappingReport,
): CedarValueJson {
  const record: Record<string, CedarValueJson> = {};
  for (const name of Object.keys(value)) {
    const item = value[name];
    const at = path === "" ? name : `${path}.${name}`;
    const member = members.get(name);
    if (member === undefined) report.addUndeclared(at.slice(0, MAX_STRING));
    if (member?.mapping === undefined || item === undefined || item === null) continue;
    const mapped = member.mapping.toCedar(item, at, report);
    if (mapped !== undefined) record[name] = mapped;
  }
  // A rule about a required argument must not be skipped because the argument is missing.
  for (const name of needed) if (!Object.hasOwn(record, name)) report.mismatched = true;
  return record;
}

/** An object without declared properties: the set of its keys. */
const keySetMapping: ValueMapping = {
  type: { type: "Set", element: { type: "String" } },
  toCedar: (value, _path, report) =>
    isJsonObject(value) ? Object.keys(value).map((key) => key.slice(0, MAX_STRING)) : mismatch(report),
};

/** True if the calendar has the day `YYYY-MM-DD`: Date.parse turns February 30 into March 2. */
function isRealDay(day: string): boolean {
  const ms = Date.parse(`${day}T00:00:00.000Z`);
  return !Number.isNaN(ms) && new Date(ms).toISOString().startsWith(day);
}

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
    isPartial: true,
    toCedar: (value, path, report) => {
      const [key, mapping] = unionMember(value);
      if (key === undefined || mapping === undefined) return mismatch(report);
      const mapped = mapping.toCedar(value, path, report);
      return mapped === undefined ? undefined : { [key]: mapped };
    },
  };
}

function unionMember(value: JsonValue): readonly [string, ValueMapping] | readonly [] {
  if (typeof value === "string") return ["s", stringMapping];
  if (typeof value === "boolean") return ["b", booleanMapping];
  if (typeof value === "number") return Number.isInteger(value) ? ["n", longMapping] : ["d", decimalMapping];
  return [];
}
