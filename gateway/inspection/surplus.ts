/** `surplus.undeclared`: members of arguments or of an answer that the approved schema does not declare. */

import { isJsonObject, type JsonObject, type JsonValue } from "../../kernel/json/value.ts";
import type { DeclaredNames } from "../wire/declared-names.ts";
import { readText, textsOf } from "./result-needs.ts";
import { isJsonArray } from "./strings.ts";

type Path = readonly string[];

/** Paths of the outermost undeclared members. A schema that declares nothing has nothing beside it. */
export function surplusPaths(value: JsonValue | undefined, declared: DeclaredNames | undefined): readonly Path[] {
  if (declared === undefined) return NO_PATHS;
  const found: Path[] = [];
  collect(value, declared, [], found);
  return found;
}

/** A text that is a JSON object or list, with paths of its outermost undeclared members. */
export interface SurplusText {
  readonly path: readonly string[];
  readonly members: readonly Path[];
}

/**
 * What texts of a result say beside what its tool declares: each that is a JSON object stands for the structured content, whether
 * there is some or not, and a list for whichever part of it has the most of its members.
 */
export function surplusTexts(result: JsonObject, declared: DeclaredNames | undefined): readonly SurplusText[] {
  if (declared === undefined) return NO_TEXTS;
  return textsOf(result).flatMap(({ path, text }) => {
    const value = readText(text);
    const members = isJsonArray(value) ? surplusOfList(value, declared) : surplusPaths(value, declared);
    return members.length === 0 ? [] : [{ path, members }];
  });
}

const NO_TEXTS: readonly SurplusText[] = [];

/** Objects of a schema that a list is compared with. */
const MAX_LEVELS = 32;

/** What is undeclared in a list by the object of the schema that leaves the least. */
function surplusOfList(list: readonly JsonValue[], declared: DeclaredNames): readonly Path[] {
  let least: readonly Path[] | undefined;
  for (const level of levelsOf(declared)) {
    const paths = surplusPaths(list, level);
    if (paths.length === 0) return NO_PATHS;
    if (least === undefined || paths.length < least.length) least = paths;
  }
  return least ?? NO_PATHS;
}

/** The objects of a schema that declare something, from the outside in. */
function levelsOf(declared: DeclaredNames): readonly DeclaredNames[] {
  const seen = new Set([declared]);
  const levels: DeclaredNames[] = [];
  for (const level of seen) {
    const { names, others } = level;
    if (levels.length === MAX_LEVELS) break;
    if (names.size === 0 && others === undefined) continue;
    levels.push(level);
    for (const next of names.values()) seen.add(next);
    if (others !== undefined) seen.add(others);
  }
  return levels;
}

/** Members of a tool's result (MCP 2025-11-25 and 2026-07-28). */
const RESULT_MEMBERS: ReadonlySet<string> = new Set(["content", "structuredContent", "isError", "_meta", "resultType"]);

/** Members beside them, of a tool that says what it answers. Answers of another form have no content. */
export function surplusMembers(result: JsonObject, declared: DeclaredNames | undefined): readonly Path[] {
  if (declared === undefined || !isJsonArray(result["content"])) return NO_PATHS;
  return Object.keys(result).flatMap((key) => (RESULT_MEMBERS.has(key) ? [] : [[key]]));
}

/** Of what has no schema, and of what a schema declares as a whole. */
export const NO_PATHS: readonly Path[] = [];

/** @param path  of the value; the same list on the whole way */
function collect(value: JsonValue | undefined, declared: DeclaredNames, path: string[], found: Path[]): void {
  if (isJsonArray(value)) {
    for (let at = 0; at < value.length; at += 1) enter(String(at), value[at], declared, path, found);
  } else if (isJsonObject(value)) {
    const { names, others } = declared;
    // An object without declared members takes any.
    if (names.size === 0 && others === undefined) return;
    for (const key of Object.keys(value)) {
      const next = names.get(key) ?? others;
      if (next === undefined) found.push([...path, key]);
      else enter(key, value[key], next, path, found);
    }
  }
}

function enter(
  step: string,
  value: JsonValue | undefined,
  declared: DeclaredNames,
  path: string[],
  found: Path[],
): void {
  if (typeof value !== "object" || value === null) return;
  path.push(step);
  collect(value, declared, path, found);
  path.pop();
}
