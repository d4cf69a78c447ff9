/**
 * Text copies of structured content: a server repeats `structuredContent` as JSON in a text of `content` for clients of old.
 * What is taken out of the one has to be out of the other, names and all, so a copy is written anew from what is left.
 */

import { isCodedError } from "../../kernel/errors.ts";
import { formatCanonical } from "../../kernel/json/canonical.ts";
import { parseJson } from "../../kernel/json/parse.ts";
import { isJsonObject, type JsonValue } from "../../kernel/json/value.ts";
import { applyEdits, itemSpans, rawAt, type Span, spanOf } from "../wire/spans.ts";

const CONTENT = ["result", "content"] as const;
const STRUCTURED = ["result", "structuredContent"] as const;

/** Writes the text copies in `after` anew where they were copies in `before`: the answer before anything was taken out. */
export function renewTextCopies(before: string, after: string): string {
  const original = readRaw(rawAt(before, STRUCTURED));
  const left = rawAt(after, STRUCTURED);
  if (original === undefined || left === undefined) return after;
  const whole = formatCanonical(original);
  const spans = textsOf(before).map((span) => isCopy(before.slice(span.start, span.end), whole));
  const text = JSON.stringify(left);
  return applyEdits(
    after,
    textsOf(after).flatMap((span, i) => (spans[i] === true ? [{ ...span, text }] : [])),
  );
}

/** The texts of `content`, in order; items without one count too, so that both lists have the same places. */
function textsOf(message: string): readonly Span[] {
  const content = spanOf(message, CONTENT);
  if (content === undefined || message[content.start] !== "[") return [];
  return itemSpans(message, content.start).map((item) => {
    const inner = spanOf(message.slice(item.start, item.end), ["text"]);
    const start = item.start + (inner?.start ?? 0);
    return { start, end: item.start + (inner?.end ?? 0) };
  });
}

function isCopy(raw: string, whole: string): boolean {
  const text = readRaw(raw);
  const value = typeof text === "string" && /^\s*[[{]/u.test(text) ? readRaw(text) : undefined;
  return value !== undefined && typeof value === "object" && formatCanonical(value) === whole;
}

function readRaw(raw: string | undefined): JsonValue | undefined {
  if (raw === undefined || raw === "") return undefined;
  try {
    const value = parseJson(raw, { numbers: "rounded", maxBytes: Number.MAX_SAFE_INTEGER });
    return isJsonObject(value) || Array.isArray(value) || typeof value === "string" ? value : undefined;
  } catch (error) {
    if (isCodedError(error)) return undefined;
    throw error;
  }
}
