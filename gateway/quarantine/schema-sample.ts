/** A value that fits a JSON Schema of the kinds that tools declare: constants and defaults where there are some, else the least. */

import { isJsonObject, type JsonObject, type JsonValue } from "../../kernel/json/value.ts";

const MAX_DEPTH = 12;
const MAX_ITEMS = 16;
const FORMATS: Readonly<Record<string, string>> = {
  date: "2026-01-01",
  "date-time": "2026-01-01T00:00:00Z",
  time: "00:00:00Z",
  email: "user@example.com",
  uri: "https://example.com/",
  url: "https://example.com/",
  uuid: "00000000-0000-4000-8000-000000000000",
  ipv4: "192.0.2.1",
  hostname: "example.com",
};

/** A value for `schema`; an empty object where nothing better is known. */
export function sampleOf(schema: JsonObject): JsonValue {
  return sample(schema, schema, 0);
}

function sample(schema: JsonValue | undefined, root: JsonObject, depth: number): JsonValue {
  if (!isJsonObject(schema) || depth > MAX_DEPTH) return {};
  const given = schema["const"] ?? schema["default"] ?? first(schema["enum"]) ?? first(schema["examples"]);
  if (given !== undefined) return given;
  const { $ref: ref } = schema;
  if (typeof ref === "string") return sample(resolve(ref, root), root, depth + 1);
  const choice = first(schema["anyOf"]) ?? first(schema["oneOf"]);
  if (choice !== undefined) return sample(choice, root, depth + 1);
  const all = schema["allOf"];
  if (isList(all)) return sample(mergedSchema(schema, all, root), root, depth + 1);
  return typed(schema, root, depth);
}

function typed(schema: JsonObject, root: JsonObject, depth: number): JsonValue {
  const type = isList(schema["type"]) ? first(schema["type"]) : schema["type"];
  if (type === "string") return text(schema);
  if (type === "integer" || type === "number") return number(schema);
  if (type === "boolean") return false;
  if (type === "null") return null;
  return type === "array" ? items(schema, root, depth) : members(schema, root, depth);
}

function text({ format, minLength }: JsonObject): string {
  const known = typeof format === "string" ? (FORMATS[format] ?? "") : "";
  return typeof minLength === "number" ? known.padEnd(Math.min(minLength, 65_536), "a") : known;
}

function number({ minimum, exclusiveMinimum, maximum, multipleOf }: JsonObject): number {
  const least = typeof minimum === "number" ? minimum : typeof exclusiveMinimum === "number" ? exclusiveMinimum + 1 : 0;
  const value = typeof maximum === "number" && minimum === undefined ? Math.min(least, maximum) : least;
  return typeof multipleOf === "number" && multipleOf > 0 ? Math.ceil(value / multipleOf) * multipleOf : value;
}

function items({ items: item, minItems, prefixItems }: JsonObject, root: JsonObject, depth: number): JsonValue {
  const prefix = isList(prefixItems) ? prefixItems.map((one) => sample(one, root, depth + 1)) : [];
  const wanted = typeof minItems === "number" ? Math.min(minItems, MAX_ITEMS) : 0;
  const rest = Array.from({ length: Math.max(0, wanted - prefix.length) }, () => sample(item, root, depth + 1));
  return [...prefix, ...rest];
}

/** Every declared member, as a server that has something to say would send it; below that only what is required. */
function members({ properties, required }: JsonObject, root: JsonObject, depth: number): JsonValue {
  if (!isJsonObject(properties)) return {};
  const names = isList(required) ? required : [];
  const wanted = Object.entries(properties).filter(([name]) => depth < 2 || names.includes(name));
  return Object.fromEntries(wanted.map(([name, property]) => [name, sample(property, root, depth + 1)]));
}

function mergedSchema(schema: JsonObject, all: readonly JsonValue[], root: JsonObject): JsonObject {
  const { allOf: _, ...own } = schema;
  const parts = [own, ...all].map((part) => target(part, root)).filter((part) => part !== undefined);
  const entries = parts.flatMap((part) => Object.entries(part));
  const properties = parts.flatMap(({ properties: some }) =>
    some !== undefined && isJsonObject(some) ? Object.entries(some) : [],
  );
  const required = parts.flatMap(({ required: some }) => (isList(some) ? some : []));
  return { ...Object.fromEntries(entries), properties: Object.fromEntries(properties), required };
}

/** The schema itself, or what it refers to. */
function target(part: JsonValue | undefined, root: JsonObject): JsonObject | undefined {
  const ref = part !== undefined && isJsonObject(part) ? part["$ref"] : undefined;
  const found = typeof ref === "string" ? resolve(ref, root) : part;
  return found !== undefined && isJsonObject(found) ? found : undefined;
}

/** Local references only: nothing is fetched. */
function resolve(ref: string, root: JsonObject): JsonValue | undefined {
  if (!ref.startsWith("#/")) return undefined;
  let at: JsonValue | undefined = root;
  for (const part of ref.slice(2).split("/")) {
    const name = part.replaceAll("~1", "/").replaceAll("~0", "~");
    at = at !== undefined && isJsonObject(at) && Object.hasOwn(at, name) ? at[name] : undefined;
  }
  return at;
}

function first(value: JsonValue | undefined): JsonValue | undefined {
  return isList(value) ? value[0] : undefined;
}

function isList(value: JsonValue | undefined): value is readonly JsonValue[] {
  return Array.isArray(value);
}
