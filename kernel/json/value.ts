/** The values of JSON as the kernel holds them: plain data, objects without a prototype when they come from a parser. */

/** Any JSON value. Numbers are doubles; a parsed one is never −0, infinite or an unsafe integer. */
export type JsonValue = null | boolean | number | string | readonly JsonValue[] | JsonObject;

/** A JSON object. A member that is `undefined` counts as absent; parsed objects never hold one. */
export interface JsonObject {
  readonly [key: string]: JsonValue | undefined;
}

/** True if `value` is an object, not an array and not null. */
export function isJsonObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** True if every surrogate of `text` is one half of a pair, so that `text` has a UTF-8 form. */
export function isWellFormed(text: string): boolean {
  return !LONE_SURROGATE.test(text);
}

/** In unicode mode a pair is one character, so only a lone half can match. */
const LONE_SURROGATE = /[\ud800-\udfff]/u;

/**
 * What new objects are copies of: one that is written down without a prototype is a hash table for the engine, a copy of one
 * without members is as quick to fill and to read as any other.
 */
const NOTHING: JsonObject = {};

/** An object without members and without a prototype, so that every name is a key like any other. */
export function newObject(): Record<string, JsonValue> {
  return { ...NOTHING, __proto__: null };
}
