/**
 * Places in a message as a receipt may name them: member names as far as an approved schema declares them, `*` for
 * everything else, since the names of undeclared members are the caller's text.
 */

import { isJsonObject, type JsonObject, type JsonValue } from "../../kernel/json/value.ts";
import type { DeclaredPointer } from "../../kernel/receipt/fields.ts";

/** What one step of a receipt's pointer may look like (kernel/receipt/fields.ts). */
const STEP = /^[A-Za-z0-9_.$-]{1,64}$/u;
const MAX_STEPS = 16;
const MAX_REFERENCES = 16;

/**
 * The place of a value.
 *
 * @param prefix  steps that are MCP's own, for example `["params", "arguments"]`
 * @param schema  JSON Schema of what stands there; undefined if nothing is declared
 * @param path  member names and array indexes from there
 */
export function declaredPointer(
  prefix: readonly string[],
  schema: JsonValue | undefined,
  path: readonly string[],
): DeclaredPointer {
  const steps = [...prefix];
  let here: JsonValue | undefined = schema;
  for (const step of path) {
    const next = stepInto(schema, here, step);
    steps.push(next === undefined || !STEP.test(next.name) ? "*" : next.name);
    here = next?.schema;
  }
  return steps
    .slice(0, MAX_STEPS)
    .map((step) => `/${step}`)
    .join("");
}

/** The declared member or item that a step names; indexes are `*`, since positions say something of the data. */
function stepInto(
  root: JsonValue | undefined,
  here: JsonValue | undefined,
  step: string,
): { readonly name: string; readonly schema: JsonValue | undefined } | undefined {
  for (const schema of alternatives(root, here)) {
    const { properties, items } = schema;
    if (isJsonObject(properties) && Object.hasOwn(properties, step)) return { name: step, schema: properties[step] };
    if (items !== undefined && /^[0-9]+$/u.test(step)) return { name: "*", schema: items };
  }
  return undefined;
}

/** The schema itself, what it refers to in its own document, and the parts of its combinations. */
function alternatives(root: JsonValue | undefined, here: JsonValue | undefined): readonly JsonObject[] {
  const found: JsonObject[] = [];
  const open: (JsonValue | undefined)[] = [here];
  while (open.length > 0 && found.length < MAX_REFERENCES) {
    const schema = open.shift();
    if (!isJsonObject(schema) || found.includes(schema)) continue;
    found.push(schema);
    const { $ref, allOf, anyOf, oneOf } = schema;
    if (typeof $ref === "string") open.push(lookUp(root, $ref));
    open.push(...[allOf, anyOf, oneOf].flatMap((parts) => (isJsonArray(parts) ? parts : [])));
  }
  return found;
}

function isJsonArray(value: JsonValue | undefined): value is readonly JsonValue[] {
  return Array.isArray(value);
}

/** What a local reference such as `#/$defs/row` points to. */
function lookUp(root: JsonValue | undefined, reference: string): JsonValue | undefined {
  if (!reference.startsWith("#/")) return reference === "#" ? root : undefined;
  let here: JsonValue | undefined = root;
  for (const step of reference.slice(2).split("/")) {
    const name = step.replaceAll("~1", "/").replaceAll("~0", "~");
    if (!isJsonObject(here) || !Object.hasOwn(here, name)) return undefined;
    here = here[name];
  }
  return here;
}
