/** `x-mcp-header` in a tool's input schema: which arguments are mirrored in `Mcp-Param-*` headers. */

import { isJsonObject, type JsonObject, type JsonValue } from "../../kernel/json/value.ts";
import { definitionValue } from "../catalog/definition-value.ts";

/** One mirrored argument. */
export interface ParamHeader {
  /** The part behind `Mcp-Param-`. */
  readonly header: string;
  /** Property names from the root of the arguments. */
  readonly path: readonly string[];
}

const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/u;
const TYPES: ReadonlySet<JsonValue | undefined> = new Set<JsonValue | undefined>(["string", "integer", "boolean"]);
const MAX_DEPTH = 32;

/**
 * The mirrored arguments of a tool, from the text of its definition; undefined if the schema breaks a rule of SEP-2243: a
 * name that is no token or stands twice, a property of another type, one that `properties` alone do not reach.
 */
export function paramHeaders(definition: string): readonly ParamHeader[] | undefined {
  if (!definition.includes("x-mcp-header")) return [];
  const schema = definitionValue(definition)["inputSchema"];
  const found: ParamHeader[] = [];
  if (!isJsonObject(schema) || !collect(schema, [], found)) return undefined;
  const names = new Set(found.map(({ header }) => header.toLowerCase()));
  const isWhole = countHeaders(schema) === found.length;
  return names.size === found.length && isWhole ? found : undefined;
}

function collect(schema: JsonObject, path: readonly string[], found: ParamHeader[]): boolean {
  const { properties, type } = schema;
  const header = schema["x-mcp-header"];
  if (header !== undefined) {
    if (typeof header !== "string" || !TOKEN.test(header) || !TYPES.has(type) || path.length === 0) return false;
    found.push({ header, path });
  }
  if (!isJsonObject(properties) || path.length >= MAX_DEPTH) return true;
  return Object.entries(properties).every(([name, property]) => {
    return !isJsonObject(property) || collect(property, [...path, name], found);
  });
}

/** How many there are anywhere: one that is not reached through properties makes the schema invalid. */
function countHeaders(value: JsonValue | undefined): number {
  if (typeof value !== "object" || value === null) return 0;
  const own = isJsonObject(value) && typeof value["x-mcp-header"] === "string" ? 1 : 0;
  return Object.values(value).reduce((sum: number, item) => sum + countHeaders(item), own);
}
