/**
 * How much of an answer is needed, as the operator declares it: items of named lists, and bytes. What is above it are the findings
 * `surplus.items` and `surplus.bytes`.
 */

import { isCodedError } from "../../kernel/errors.ts";
import { parseJson } from "../../kernel/json/parse.ts";
import { parsePointer } from "../../kernel/json/pointer.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../../kernel/json/value.ts";
import type { ResultNeeds } from "../catalog/data-class.ts";

/** A list with more items than are needed. */
export interface LongList {
  readonly path: readonly string[];
  /** Items that may stay, the first ones. */
  readonly keep: number;
  readonly over: number;
}

/** A text that is JSON with such lists in it. */
export interface LongText {
  readonly path: readonly string[];
  readonly lists: readonly LongList[];
}

/** The lists of a value that are longer than needed. A step `*` of a declared pointer is any member or item. */
export function longLists(value: JsonValue | undefined, { items }: ResultNeeds): readonly LongList[] {
  if (items === undefined) return NO_LISTS;
  return Object.entries(items).flatMap(([pointer, keep]) =>
    [...placesOf(value, parsePointer(pointer), [])].flatMap(({ path, found }) =>
      Array.isArray(found) && found.length > keep ? [{ path, keep, over: found.length - keep }] : [],
    ),
  );
}

const NO_LISTS: readonly LongList[] = [];
const NO_TEXTS: readonly LongText[] = [];

function* placesOf(
  value: JsonValue | undefined,
  steps: readonly string[],
  path: readonly string[],
): Generator<{ readonly path: readonly string[]; readonly found: JsonValue | undefined }> {
  const [step, ...rest] = steps;
  if (step === undefined) yield { path, found: value };
  if (step === undefined || typeof value !== "object" || value === null) return;
  const entries: readonly [string, JsonValue | undefined][] = Object.entries(value);
  for (const [key, item] of entries) {
    if (step === "*" || step === key) yield* placesOf(item, rest, [...path, key]);
  }
}

/** The texts of a result (of tools `content`, of resources `contents`) that are JSON with longer lists than needed. */
export function longTexts(result: JsonObject, needs: ResultNeeds): readonly LongText[] {
  if (needs.items === undefined) return NO_TEXTS;
  return textsOf(result).flatMap(({ path, text }) => {
    const lists = longLists(readText(text), needs);
    return lists.length === 0 ? [] : [{ path, lists }];
  });
}

/** Items of the longest list in structured content and in texts that are JSON: `context.system.items`. */
export function mostItems({ structuredContent, ...rest }: JsonObject): number {
  const texts = textsOf(rest).map(({ text }) => longest(readText(text)));
  return texts.reduce((most, items) => Math.max(most, items), longest(structuredContent));
}

function longest(value: JsonValue | undefined): number {
  if (typeof value !== "object" || value === null) return 0;
  const below: readonly (JsonValue | undefined)[] = Object.values(value);
  const own = Array.isArray(value) ? value.length : 0;
  return below.reduce((most: number, item) => Math.max(most, longest(item)), own);
}

/** The texts of a result, and where they stand. */
export function textsOf(result: JsonObject): readonly { readonly path: readonly string[]; readonly text: string }[] {
  return ["content", "contents"].flatMap((list) => {
    const parts = result[list];
    if (!Array.isArray(parts)) return [];
    return parts.flatMap((part: JsonValue, index) => textsOfPart(part, [list, String(index)]));
  });
}

function textsOfPart(part: JsonValue, at: readonly string[]): ReturnType<typeof textsOf> {
  const { text, resource }: JsonObject = isJsonObject(part) ? part : {};
  const inner = isJsonObject(resource) ? resource["text"] : undefined;
  return [
    ...(typeof text === "string" ? [{ path: [...at, "text"], text }] : []),
    ...(typeof inner === "string" ? [{ path: [...at, "resource", "text"], text: inner }] : []),
  ];
}

/** The value of a text that is a JSON object or list; undefined for every other text. */
export function readText(text: string): JsonValue | undefined {
  if (!/^\s*[[{]/u.test(text)) return undefined;
  try {
    return parseJson(text, { numbers: "rounded", maxBytes: Number.MAX_SAFE_INTEGER });
  } catch (error) {
    if (isCodedError(error)) return undefined;
    throw error;
  }
}
