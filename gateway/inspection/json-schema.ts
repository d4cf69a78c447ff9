/**
 * Checks values against a JSON Schema that somebody else wrote (2020-12), in bounded time: references stay inside the document,
 * patterns are RE2's, and every step counts. A schema that needs more than the bounds checks nothing. The one file that knows ajv.
 */

import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import { RE2JS } from "re2js";
import { parseUtf8 } from "../../kernel/bytes.ts";
import { canonicalBytes } from "../../kernel/json/canonical.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../../kernel/json/value.ts";

/** Whether a value satisfies a schema; `unusable` if the schema cannot be evaluated within the bounds. */
export type SchemaAnswer = "valid" | "invalid" | "unusable";

/** A schema, compiled. */
export type CheckSchema = (value: JsonValue) => SchemaAnswer;

/** Evaluated subschemas of one check. A tree of branches multiplies; this ends it. */
const MAX_STEPS = 20_000;
const MAX_SCHEMA_CHARACTERS = 256 * 1024;
const STEP = "countersignStep";

class TooManySteps extends Error {}

/** Compiles a schema. Costly: keep what it returns. */
export function compileSchema(schema: JsonValue): CheckSchema {
  if (JSON.stringify(schema).length > MAX_SCHEMA_CHARACTERS) return () => "unusable";
  const budget = { steps: 0 };
  let validate: ValidateFunction;
  try {
    validate = makeAjv(budget).compile(counted(schema) ?? {});
  } catch {
    return () => "unusable";
  }
  return (value) => {
    budget.steps = 0;
    try {
      return validate(value) ? "valid" : "invalid";
    } catch (error) {
      // A reference to itself ends at the stack's bound.
      if (error instanceof TooManySteps || error instanceof RangeError) return "unusable";
      throw error;
    }
  };
}

function makeAjv(budget: { steps: number }): Ajv2020 {
  const ajv = new Ajv2020({
    strict: false,
    validateSchema: false,
    validateFormats: false,
    inlineRefs: false,
    addUsedSchema: false,
    logger: false,
    code: { regExp: Object.assign(linearPattern, { code: "linearPattern" }) },
  });
  ajv.addKeyword({
    keyword: STEP,
    schema: false,
    validate: () => {
      budget.steps += 1;
      if (budget.steps > MAX_STEPS) throw new TooManySteps();
      return true;
    },
  });
  // Ajv's own compares each element with each other.
  ajv.removeKeyword("uniqueItems");
  ajv.addKeyword({ keyword: "uniqueItems", type: "array", schemaType: "boolean", validate: areUnique });
  return ajv;
}

/** What ajv works with: it keeps the patterns of a schema apart by their texts alone. */
interface LinearPattern {
  readonly test: (text: string) => boolean;
  readonly toString: () => string;
}

/** A pattern in linear time. One that RE2 does not take is not checked here; the server checks it. */
function linearPattern(pattern: string): LinearPattern {
  const named = { toString: () => pattern };
  try {
    const compiled = RE2JS.compile(pattern);
    return { test: (text) => compiled.matcher(text).find(), ...named };
  } catch {
    return { test: () => true, ...named };
  }
}

function areUnique(wanted: boolean, items: readonly JsonValue[]): boolean {
  return !wanted || new Set(items.map((item) => parseUtf8(canonicalBytes(item)))).size === items.length;
}

/** Members whose values are data and no schemas. */
const DATA: ReadonlySet<string> = new Set(["const", "enum", "default", "examples", "required", "type"]);
/** Members whose values are maps of schemas. */
const MAPS: ReadonlySet<string> = new Set([
  "properties",
  "patternProperties",
  "$defs",
  "definitions",
  "dependentSchemas",
]);
/** The document has no other address than its own. */
const DROPPED: ReadonlySet<string> = new Set(["$schema", "$id", "id", STEP]);

/** The schema with a count in each of its subschemas. */
function counted(schema: JsonValue | undefined): JsonObject | boolean | undefined {
  if (typeof schema === "boolean") return schema;
  if (!isJsonObject(schema)) return undefined;
  const members = Object.entries(schema).flatMap(
    ([key, value]): readonly (readonly [string, JsonValue | undefined])[] => {
      if (DROPPED.has(key)) return [];
      return [[key, DATA.has(key) ? value : MAPS.has(key) ? countedMap(value) : countedPart(value)]];
    },
  );
  return { ...Object.fromEntries(members), [STEP]: true };
}

function countedMap(value: JsonValue | undefined): JsonValue | undefined {
  if (!isJsonObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, countedPart(part)]));
}

function countedPart(value: JsonValue | undefined): JsonValue | undefined {
  if (Array.isArray(value)) {
    const parts: readonly JsonValue[] = value;
    return parts.map((part) => countedPart(part) ?? null);
  }
  return isJsonObject(value) ? counted(value) : value;
}
