/**
 * Where tokens stand in a text that the strict scan accepted, so that one of them can be replaced and every other byte
 * stays as it was received. The text is known to be JSON: nothing is checked again.
 */

import { invariant } from "../../kernel/errors.ts";

/** A range of UTF-16 offsets, end exclusive. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** One member of an object. */
export interface MemberSpan extends Span {
  /** Unescaped. */
  readonly key: string;
  /** Offset of the key's opening quote; `start` and `end` are the value's. */
  readonly keyStart: number;
}

/** A replacement of one range. */
export interface Edit extends Span {
  readonly text: string;
}

/** Members of the object whose opening brace is at `start`, in the order of the text. */
export function memberSpans(text: string, start: number): readonly MemberSpan[] {
  if (text.length > MAX_KEPT_TEXT) return findMembers(text, start);
  const kept = recent.get(text) ?? keep(text);
  const known = kept.get(start) ?? findMembers(text, start);
  kept.set(start, known);
  return known;
}

/**
 * Objects of the texts that were taken apart in this turn: every message is, several times on its way. Nothing of a message is
 * kept beyond the turn: an idle gateway holds no arguments.
 */
const recent = new Map<string, Map<number, readonly MemberSpan[]>>();
const MAX_KEPT_TEXTS = 64;
const MAX_KEPT_TEXT = 8192;

function keep(text: string): Map<number, readonly MemberSpan[]> {
  const made = new Map<number, readonly MemberSpan[]>();
  if (recent.size === 0) setImmediate(() => recent.clear());
  recent.set(text, made);
  for (const oldest of recent.keys()) {
    if (recent.size <= MAX_KEPT_TEXTS) break;
    recent.delete(oldest);
  }
  return made;
}

function findMembers(text: string, start: number): readonly MemberSpan[] {
  invariant(text[start] === "{", "memberSpans: want an object");
  const spans: MemberSpan[] = [];
  let at = skipSpace(text, start + 1);
  while (text[at] === '"') {
    const keyStart = at;
    const keyEnd = skipString(text, at);
    const valueStart = skipSpace(text, skipSpace(text, keyEnd) + 1);
    const end = skipValue(text, valueStart);
    spans.push({ key: unescapeKey(text.slice(keyStart, keyEnd)), keyStart, start: valueStart, end });
    at = skipSpace(text, end);
    if (text[at] === ",") at = skipSpace(text, at + 1);
  }
  return spans;
}

/** Items of the array whose opening bracket is at `start`. */
export function itemSpans(text: string, start: number): readonly Span[] {
  invariant(text[start] === "[", "itemSpans: want an array");
  const spans: Span[] = [];
  let at = skipSpace(text, start + 1);
  while (text[at] !== "]") {
    const end = skipValue(text, at);
    spans.push({ start: at, end });
    at = skipSpace(text, end);
    if (text[at] === ",") at = skipSpace(text, at + 1);
  }
  return spans;
}

/** The value at a path of members below the document; undefined if it is not there. */
export function spanOf(text: string, path: readonly string[]): Span | undefined {
  let span: Span = { start: skipSpace(text, 0), end: text.length };
  for (const key of path) {
    if (text[span.start] !== "{") return undefined;
    const member = memberSpans(text, span.start).find((candidate) => candidate.key === key);
    if (member === undefined) return undefined;
    span = member;
  }
  return span;
}

/** Raw text of the value at a path. */
export function rawAt(text: string, path: readonly string[]): string | undefined {
  const span = spanOf(text, path);
  return span === undefined ? undefined : text.slice(span.start, span.end);
}

/** Applies edits that do not overlap. */
export function applyEdits(text: string, edits: readonly Edit[]): string {
  let result = "";
  let at = 0;
  for (const edit of [...edits].sort((a, b) => a.start - b.start)) {
    invariant(edit.start >= at, "applyEdits: edits overlap");
    result += text.slice(at, edit.start) + edit.text;
    at = edit.end;
  }
  return result + text.slice(at);
}

/**
 * The object at `span` with other members; those that stay keep their bytes. Undefined if nothing changes.
 *
 * @param set  JSON text by key: replaces the member's value, or is added behind the last one
 * @param drop  true for members that go
 */
export function editMembers(
  text: string,
  span: Span,
  set: Readonly<Record<string, string>>,
  drop: (key: string) => boolean,
): Edit | undefined {
  const members = memberSpans(text, span.start);
  const known = new Set(members.map(({ key }) => key));
  const kept = members
    .filter(({ key }) => !drop(key))
    .map(({ key, keyStart, start, end }) => {
      const value = Object.hasOwn(set, key) ? set[key] : undefined;
      return value === undefined ? text.slice(keyStart, end) : `${text.slice(keyStart, start)}${value}`;
    });
  const added = Object.entries(set).filter(([key]) => !known.has(key));
  const parts = [...kept, ...added.map(([key, value]) => `${JSON.stringify(key)}:${value}`)];
  const before = members.map(({ keyStart, end }) => text.slice(keyStart, end));
  const isSame = parts.length === before.length && parts.every((part, index) => part === before[index]);
  return isSame ? undefined : { start: span.start, end: span.end, text: `{${parts.join(",")}}` };
}

/** Takes one member out of the object at `span`, with the comma that it leaves over; undefined if it is not there. */
export function removeMember(text: string, span: Span, key: string): Edit | undefined {
  const members = memberSpans(text, span.start);
  const at = members.findIndex((member) => member.key === key);
  const [before, found, behind] = [members[at - 1], members[at], members[at + 1]];
  if (found === undefined) return undefined;
  if (behind !== undefined) return { start: found.keyStart, end: behind.keyStart, text: "" };
  return { start: before?.end ?? found.keyStart, end: found.end, text: "" };
}

function unescapeKey(raw: string): string {
  if (!raw.includes("\\")) return raw.slice(1, -1);
  const key: unknown = JSON.parse(raw);
  invariant(typeof key === "string", "memberSpans: want a string as key");
  return key;
}

function skipSpace(text: string, from: number): number {
  let at = from;
  for (let code = text.charCodeAt(at); code === 0x20 || (code >= 0x09 && code <= 0x0d); code = text.charCodeAt(at)) {
    at += 1;
  }
  return at;
}

/** The offset behind the string whose opening quote is at `from`. */
function skipString(text: string, from: number): number {
  for (let at = from + 1; ; at += 1) {
    const quote = text.indexOf('"', at);
    invariant(quote >= 0, "spans: a string does not end");
    let slashes = 0;
    while (text[quote - 1 - slashes] === "\\") slashes += 1;
    if (slashes % 2 === 0) return quote + 1;
    at = quote;
  }
}

function skipValue(text: string, from: number): number {
  const first = text[from];
  if (first === '"') return skipString(text, from);
  if (first === "{" || first === "[") return skipContainer(text, from);
  let at = from;
  while (at < text.length && !",]} \t\r\n".includes(text.charAt(at))) at += 1;
  return at;
}

function skipContainer(text: string, from: number): number {
  let depth = 0;
  for (let at = from; at < text.length; at += 1) {
    const character = text[at];
    if (character === '"') at = skipString(text, at) - 1;
    else if (character === "{" || character === "[") depth += 1;
    else if (character === "}" || character === "]") depth -= 1;
    if (depth === 0) return at + 1;
  }
  return text.length;
}
