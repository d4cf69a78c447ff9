/**
 * Values in a text together with the names that stand before them: members of JSON text, `name=value`, `name: value`, and the
 * columns of CSV text. A name lowers the bar for its value.
 */

import { MARK, type Marks } from "./text-marks.ts";

/** A value and where it stands. */
export interface KeyedValue {
  readonly key: string;
  readonly value: string;
  readonly start: number;
}

const PAIR =
  /(?<![\p{L}\p{N}_.-])([A-Za-z][A-Za-z0-9_. -]{0,39}[A-Za-z0-9])\\?["']?[ \t]{0,4}[:=]{1,2}[ \t]{0,4}(?:\\?"([^"\\\n]{1,1024})|'([^'\n]{1,1024})'|([+(]?\d[\d ().x/-]{4,30}\d|[^\s"',;{}[\]<>]{1,1024}))/gu;
const MAX_COLUMNS = 64;

/** True for a part of a text that may be, or hold, a name whose values are wanted. */
type MayBeWanted = (text: string, from: number, to: number) => boolean;

/** The named values of a text, as far as their names may be wanted; others may be among them. */
export function keyedValues(text: string, marks: Marks, mayBeWanted: MayBeWanted): readonly KeyedValue[] {
  const found: KeyedValue[] = [];
  if ((marks & MARK.pair) !== 0) addPairs(text, mayBeWanted, found);
  if ((marks & MARK.newline) !== 0 && (marks & MARK.separator) !== 0) addColumns(text, mayBeWanted, found);
  return found.length === 0 ? NONE : found;
}

const NONE: readonly KeyedValue[] = [];

/** A pair stands on one line, so lines without a wanted name before a sign are not searched for pairs. */
function addPairs(text: string, mayBeWanted: MayBeWanted, found: KeyedValue[]): void {
  for (let at = nextSign(text, 0); at < text.length; at = nextSign(text, at)) {
    const nameEnd = endOfName(text, at);
    const nameStart = startOfName(text, nameEnd);
    at += 1;
    if (!mayBeWanted(text, nameStart, nameEnd)) continue;
    const lineStart = text.lastIndexOf("\n", nameStart) + 1;
    const next = text.indexOf("\n", at);
    const lineEnd = next < 0 ? text.length : next;
    for (const { 0: whole, 1: key = "", 2: double, 3: single, 4: bare, index } of text
      .slice(lineStart, lineEnd)
      .matchAll(PAIR)) {
      const value = double ?? single ?? bare ?? "";
      found.push({ key, value, start: lineStart + index + whole.lastIndexOf(value) });
    }
    at = lineEnd;
  }
}

function nextSign(text: string, from: number): number {
  let at = from;
  for (; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === COLON || code === EQUALS) break;
  }
  return at;
}

/** Where the name before a sign ends: before white space, a quote and a backslash. */
function endOfName(text: string, sign: number): number {
  let end = sign;
  while (sign - end < MAX_SPACE && isBlank(text.charCodeAt(end - 1))) end -= 1;
  const quote = text.charCodeAt(end - 1);
  if (quote === DOUBLE_QUOTE || quote === SINGLE_QUOTE) end -= 1;
  return text.charCodeAt(end - 1) === BACKSLASH ? end - 1 : end;
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}

/** From where the longest name can come that ends there. */
function startOfName(text: string, end: number): number {
  let start = end;
  while (start > 0 && end - start < MAX_NAME && IN_NAME[text.charCodeAt(start - 1)] === 1) start -= 1;
  return start;
}

const COLON = 0x3a;
const EQUALS = 0x3d;
const BACKSLASH = 0x5c;
const DOUBLE_QUOTE = 0x22;
const SINGLE_QUOTE = 0x27;
/** As `PAIR` has them. */
const MAX_SPACE = 4;
const MAX_NAME = 41;
const IN_NAME: Uint8Array = Uint8Array.from({ length: 128 }, (_, code) =>
  /[A-Za-z0-9_. -]/u.test(String.fromCharCode(code)) ? 1 : 0,
);

/** Cells of lines below a line of names; quoted cells are read without their quotes. */
function addColumns(text: string, mayBeWanted: MayBeWanted, found: KeyedValue[]): void {
  const headEnd = text.indexOf("\n");
  const head = text.slice(0, Math.min(headEnd, 4096));
  const separator = ["\t", ";", ","].find((candidate) => head.includes(candidate));
  if (headEnd < 0 || separator === undefined) return;
  const names = head.split(separator).map((name) => name.trim().replace(/^"(.{0,64})"$/u, "$1"));
  if (names.length > MAX_COLUMNS || !names.every((name) => /^[A-Za-z][A-Za-z0-9_ .-]{0,63}$/u.test(name))) return;
  if (names.some((name) => mayBeWanted(name, 0, name.length))) addCells(text, headEnd + 1, separator, names, found);
}

function addCells(text: string, from: number, separator: string, names: readonly string[], found: KeyedValue[]): void {
  let column = 0;
  let start = from;
  for (let at = from; at <= text.length; at += 1) {
    const character = text.charAt(at);
    if (character !== separator && character !== "\n" && at < text.length) continue;
    const key = names[column];
    const raw = text.slice(start, at);
    const value = raw.trim().replace(/^"(.{0,1024})"$/u, "$1");
    if (key !== undefined && value !== "") found.push({ key, value, start: start + raw.indexOf(value) });
    column = character === separator ? column + 1 : 0;
    start = at + 1;
  }
}
