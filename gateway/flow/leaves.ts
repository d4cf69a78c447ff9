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
  visitLeaves(value, [], (text, steps) => leaves.push({ path: steps.slice(), text }) < MAX_LEAVES);
  return leaves;
}

/** Told of a leaf; the steps are its visitor's own. @returns false if it wants no more */
type TakeLeaf = (text: string, steps: readonly string[]) => boolean;

/** @returns false once `take` wants no more */
function visitLeaves(value: JsonValue | undefined, steps: string[], take: TakeLeaf): boolean {
  if (typeof value === "string" || typeof value === "number") return take(String(value), steps);
  if (isJsonArray(value)) {
    for (let i = 0; i < value.length; i += 1) if (!visitStep(String(i), value[i], steps, take)) return false;
  } else if (isJsonObject(value)) {
    for (const name of Object.keys(value)) if (!visitStep(name, value[name], steps, take)) return false;
  }
  return true;
}

function visitStep(step: string, value: JsonValue | undefined, steps: string[], take: TakeLeaf): boolean {
  steps.push(step);
  const wantsMore = visitLeaves(value, steps, take);
  steps.pop();
  return wantsMore;
}

function isJsonArray(value: JsonValue | undefined): value is readonly JsonValue[] {
  return Array.isArray(value);
}

/**
 * The values that a response gives to its agent: `structuredContent`, texts of content, contents and messages, completion
 * values, an error's message and data.
 *
 * @param response  the JSON-RPC response
 */
export function valuesGiven(response: JsonObject): readonly string[] {
  const { result, error } = response;
  const texts: string[] = [];
  if (isJsonObject(result)) for (const name of GIVEN_MEMBERS) addTexts(result[name], texts);
  if (isJsonObject(error)) addTexts(error, texts);
  const given = texts.length;
  for (let i = 0; i < given && texts.length < MAX_LEAVES; i += 1) addTexts(jsonOfText(texts[i] ?? ""), texts);
  return texts;
}

const GIVEN_MEMBERS = ["structuredContent", "content", "contents", "messages", "completion"] as const;
const JSON_TEXT = /^\s*[[{]/u;

/** Adds the texts of the leaves of a value, until there are `MAX_LEAVES`. */
function addTexts(value: JsonValue | undefined, texts: string[]): void {
  if (texts.length < MAX_LEAVES) visitLeaves(value, [], (text) => texts.push(text) < MAX_LEAVES);
}

/** The value of a text that is a JSON object or array. */
function jsonOfText(text: string): JsonValue | undefined {
  if (!JSON_TEXT.test(text)) return undefined;
  try {
    return parseJson(text, { numbers: "rounded" });
  } catch (error) {
    if (isCodedError(error)) return undefined;
    throw error;
  }
}
