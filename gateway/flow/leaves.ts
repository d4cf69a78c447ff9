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
  const leaves = new Leaves();
  visitLeaves(value, [], leaves);
  return leaves.all;
}

/** Takes leaves until it has enough; the steps to one are its visitor's own. */
interface LeafTaker {
  readonly isFull: boolean;
  readonly take: (text: string, steps: readonly string[]) => void;
}

class Leaves implements LeafTaker {
  readonly all: Leaf[] = [];

  get isFull(): boolean {
    return this.all.length >= MAX_LEAVES;
  }

  take(text: string, steps: readonly string[]): void {
    this.all.push({ path: steps.slice(), text });
  }
}

class Texts implements LeafTaker {
  readonly all: string[] = [];

  get isFull(): boolean {
    return this.all.length >= MAX_LEAVES;
  }

  take(text: string): void {
    this.all.push(text);
  }
}

function visitLeaves(value: JsonValue | undefined, steps: string[], taker: LeafTaker): void {
  if (taker.isFull) return;
  if (typeof value === "string" || typeof value === "number") {
    taker.take(String(value), steps);
  } else if (isJsonArray(value)) {
    for (let i = 0; i < value.length; i += 1) visitStep(String(i), value[i], steps, taker);
  } else if (isJsonObject(value)) {
    for (const name of Object.keys(value)) visitStep(name, value[name], steps, taker);
  }
}

function visitStep(step: string, value: JsonValue | undefined, steps: string[], taker: LeafTaker): void {
  steps.push(step);
  visitLeaves(value, steps, taker);
  steps.pop();
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
  const texts = new Texts();
  if (isJsonObject(result)) for (const name of GIVEN_MEMBERS) visitLeaves(result[name], [], texts);
  if (isJsonObject(error)) visitLeaves(error, [], texts);
  const { all } = texts;
  const given = all.length;
  for (let i = 0; i < given && !texts.isFull; i += 1) visitLeaves(jsonOfText(all[i] ?? ""), [], texts);
  return all;
}

const GIVEN_MEMBERS = ["structuredContent", "content", "contents", "messages", "completion"] as const;
const JSON_TEXT = /^\s*[[{]/u;

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
