/** JSON with comments, as editors write it: read leniently, changed only at the places that are meant. */

import { applyEdits, modify, type ParseError, parse } from "jsonc-parser";
import { isJsonObject, type JsonValue } from "../../kernel/json/value.ts";

/** The library says `any`; what it returns is JSON, or undefined for an empty text. */
const readTree: (...args: Parameters<typeof parse>) => JsonValue | undefined = parse;

/** Steps to a place in a document. */
export type Place = readonly (string | number)[];

/**
 * The value of a document with comments and trailing commas; undefined if it is no JSON even so. Of two equal keys the
 * later one counts, as in the hosts.
 */
export function readJsonc(text: string): JsonValue | undefined {
  const errors: ParseError[] = [];
  const value = readTree(text, errors, { allowTrailingComma: true });
  return errors.length > 0 ? undefined : value;
}

/** `text` with `value` at `place`; everything else keeps its bytes, comments and order. */
export function changeJsonc(text: string, place: Place, value: JsonValue): string {
  const formattingOptions = { ...indentOf(text), eol: text.includes("\r\n") ? "\r\n" : "\n" };
  return applyEdits(text, modify(text, [...place], value, { formattingOptions }));
}

/** The value at a place; undefined if there is none. */
export function valueAt(value: JsonValue | undefined, place: Place): JsonValue | undefined {
  let current = value;
  for (const step of place) {
    if (current === undefined || !isJsonObject(current)) return undefined;
    current = Object.hasOwn(current, step) ? current[step] : undefined;
  }
  return current;
}

/** How the document is indented: as its first indented line is. */
function indentOf(text: string): { readonly insertSpaces: boolean; readonly tabSize: number } {
  const [, indent = "  "] = /^([ \t]+)\S/mu.exec(text) ?? [];
  return { insertSpaces: !indent.startsWith("\t"), tabSize: indent.startsWith("\t") ? 1 : indent.length };
}
