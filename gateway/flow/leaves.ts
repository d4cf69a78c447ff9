/** The values in arguments and results: every string and number, with its place. Texts that are JSON count as their values too. */

import { isCodedError } from "../../kernel/errors.ts";
import { parseJson } from "../../kernel/json/parse.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../../kernel/json/value.ts";

/** A string or number and where it stands: member names and array indexes from the root. */
export interface Leaf {
  readonly path: readonly string[];
  readonly text: string;
}

/** Most leaves of one message; what comes after is not looked at, and the receipt says so. */
export const MAX_LEAVES = 4096;

/** The leaves of a value in document order, at most `MAX_LEAVES`. */
export function leavesOf(value: JsonValue): readonly Leaf[] {
  const leaves: Leaf[] = [];
  collect(value, [], leaves);
  return leaves;
}

function collect(value: JsonValue, path: readonly string[], leaves: Leaf[]): void {
  if (leaves.length >= MAX_LEAVES) return;
  if (typeof value === "string" || typeof value === "number") {
    leaves.push({ path, text: String(value) });
  } else if (Array.isArray(value)) {
    value.forEach((item: JsonValue, i: number) => {
      collect(item, [...path, String(i)], leaves);
    });
  } else if (isJsonObject(value)) {
    for (const [name, item] of Object.entries(value)) {
      if (item !== undefined) collect(item, [...path, name], leaves);
    }
  }
}

/**
 * The values that a response gives to its agent: `structuredContent`, texts of content, contents and messages, completion
 * values, an error's message and data.
 *
 * @param response  the JSON-RPC response
 */
export function valuesGiven(response: JsonObject): readonly string[] {
  const { result, error } = response;
  const parts: JsonValue[] = [];
  if (isJsonObject(result)) {
    const { structuredContent, content, contents, messages, completion } = result;
    parts.push(...[structuredContent, content, contents, messages, completion].filter((part) => part !== undefined));
  }
  if (isJsonObject(error)) parts.push(error);
  const texts = parts.flatMap((part) => leavesOf(part).map(({ text }) => text));
  return [...texts, ...texts.flatMap(valuesOfJsonText)].slice(0, MAX_LEAVES);
}

/** The leaves of a text that is a JSON object or array. */
function valuesOfJsonText(text: string): readonly string[] {
  if (!/^\s*[[{]/u.test(text)) return [];
  try {
    return leavesOf(parseJson(text, { numbers: "rounded" })).map((leaf) => leaf.text);
  } catch (error) {
    if (isCodedError(error)) return [];
    throw error;
  }
}
