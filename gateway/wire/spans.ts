/**
 * Where tokens stand in a text that the strict scan accepted, so that one of them can be replaced and every other byte
 * stays as it was received. The text is known to be JSON: nothing is checked again.
 */

import { invariant } from "../../kernel/errors.ts";
import { findKey } from "../../kernel/json/known-keys.ts";
import { recentText } from "./recent-texts.ts";

const SPACE = 0x20;
const QUOTE = 0x22;
const COMMA = 0x2c;
const OPEN_BRACKET = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

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
  const { members } = recentText(text);
  let known = members.get(start);
  if (known === undefined) {
    known = findMembers(text, start);
    members.set(start, known);
  }
  return known;
}

/** Spans of longer texts are found anew. */
const MAX_KEPT_TEXT = 8192;

function findMembers(text: string, start: number): readonly MemberSpan[] {
  invariant(text.charCodeAt(start) === OPEN_BRACE, "memberSpans: want an object");
  const spans: MemberSpan[] = [];
  let at = skipSpace(text, start + 1);
  while (text.charCodeAt(at) === QUOTE) {
    const keyStart = at;
    const keyEnd = skipString(text, at);
    const valueStart = skipSpace(text, skipSpace(text, keyEnd) + 1);
    const end = skipValue(text, valueStart);
    spans.push({ key: keyBetween(text, keyStart + 1, keyEnd - 1), keyStart, start: valueStart, end });
    at = skipSpace(text, end);
    if (text.charCodeAt(at) === COMMA) at = skipSpace(text, at + 1);
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
    if (text.charCodeAt(span.start) !== OPEN_BRACE) return undefined;
    const member = memberNamed(memberSpans(text, span.start), key);
    if (member === undefined) return undefined;
    span = member;
  }
  return span;
}

function memberNamed(members: readonly MemberSpan[], key: string): MemberSpan | undefined {
  for (const member of members) if (member.key === key) return member;
  return undefined;
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
  const parts: string[] = [];
  let isSame = true;
  for (const member of members) {
    if (drop(member.key)) isSame = false;
    else {
      const part = memberText(text, member, set);
      parts.push(part);
      isSame &&= part === text.slice(member.keyStart, member.end);
    }
  }
  for (const key of Object.keys(set)) {
    if (memberNamed(members, key) === undefined) parts.push(`${JSON.stringify(key)}:${set[key]}`);
  }
  if (isSame && parts.length === members.length) return undefined;
  return { start: span.start, end: span.end, text: `{${parts.join(",")}}` };
}

/** A member as it stands, or with the value that `set` has for it. */
function memberText(
  text: string,
  { key, keyStart, start, end }: MemberSpan,
  set: Readonly<Record<string, string>>,
): string {
  const value = Object.hasOwn(set, key) ? set[key] : undefined;
  return value === undefined ? text.slice(keyStart, end) : `${text.slice(keyStart, start)}${value}`;
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

/** The key that stands between two quotes, unescaped. */
function keyBetween(text: string, start: number, end: number): string {
  const known = findKey(text, start, end);
  if (known !== undefined) return known;
  const raw = text.slice(start, end);
  if (!raw.includes("\\")) return raw;
  const key: unknown = JSON.parse(`"${raw}"`);
  invariant(typeof key === "string", "memberSpans: want a string as key");
  return key;
}

function skipSpace(text: string, from: number): number {
  let at = from;
  for (let code = text.charCodeAt(at); code <= SPACE; code = text.charCodeAt(at)) at += 1;
  return at;
}

/** The offset behind the string whose opening quote is at `from`. */
function skipString(text: string, from: number): number {
  for (let at = from + 1; ; at += 1) {
    const quote = text.indexOf('"', at);
    invariant(quote >= 0, "spans: a string does not end");
    let slashes = 0;
    while (text.charCodeAt(quote - 1 - slashes) === BACKSLASH) slashes += 1;
    if (slashes % 2 === 0) return quote + 1;
    at = quote;
  }
}

function skipValue(text: string, from: number): number {
  const first = text.charCodeAt(from);
  if (first === QUOTE) return skipString(text, from);
  if (first === OPEN_BRACE || first === OPEN_BRACKET) return skipContainer(text, from);
  let at = from;
  // Behind the end of the text it is NaN, which no comparison holds for.
  for (let code = first; code > SPACE && !ends(code); code = text.charCodeAt(at)) at += 1;
  return at;
}

/** True of what stands behind a number or a word. */
function ends(code: number): boolean {
  return code === COMMA || code === CLOSE_BRACKET || code === CLOSE_BRACE;
}

function skipContainer(text: string, from: number): number {
  let depth = 0;
  for (let at = from; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) at = skipString(text, at) - 1;
    // '[' and '{', ']' and '}' differ in one bit.
    else if ((code | 0x20) === OPEN_BRACE) depth += 1;
    else if ((code | 0x20) === CLOSE_BRACE) depth -= 1;
    if (depth === 0) return at + 1;
  }
  return text.length;
}
