/**
 * `inj.encoded`: runs of base64, hexadecimal, percent or backslash escapes, entities and joined string pieces that decode to text
 * on which another rule fires; and escapes that spell invisible characters.
 */

import { encodedRuns, MAX_ENCODED_DEPTH } from "./encoded-runs.ts";
import { skeletonOf } from "./skeleton.ts";
import { EXTRAORDINARY, MARK, type Marks, marksOf } from "./text-marks.ts";

/** At most this many runs of a text are decoded. */
const MAX_RUNS = 64;
const MAX_RUN = 16_384;

const BASE64 = /(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{40,16384}={0,2}/gu;
const HEX = /(?<![A-Za-z0-9])(?:[0-9a-fA-F]{2}){20,8192}(?![A-Za-z0-9])/gu;
const PERCENT = /%[0-9A-Fa-f]{2}/gu;
const ESCAPE = /\\(?:u\{?([0-9A-Fa-f]{1,6})\}?|x([0-9A-Fa-f]{2}))/gu;
const ENTITY = /&#(?:x([0-9A-Fa-f]{1,6})|([0-9]{1,7}));/gu;
const PIECES = /(?:["'][^"'\n]{1,64}["'] ?\+ ?){1,64}["'][^"'\n]{0,200}["']/gu;

/** Marks of what may be decoded. */
const ENCODED: Marks =
  EXTRAORDINARY |
  MARK.run |
  MARK.longToken |
  MARK.percent |
  MARK.backslash |
  MARK.entity |
  MARK.digitInWord |
  MARK.plus;

const NO_TEXTS: readonly string[] = [];

/** The texts that encoded runs hold, as far as they are text. */
export function decodedRuns(text: string, marks: Marks): readonly string[] {
  if ((marks & ENCODED) === 0) return NO_TEXTS;
  const runs = (pattern: RegExp, decode: (run: string) => string): readonly string[] =>
    firstMatches(pattern, text).map((run) => decode(run.slice(0, MAX_RUN)));
  const has = (mark: Marks): boolean => (marks & mark) !== 0;
  const decoded = new Set([
    ...nestedRuns(text, marks, 1),
    ...(has(MARK.longToken) ? runs(BASE64, fromBase64) : []),
    ...(has(MARK.longToken) ? runs(HEX, (run) => readable(Buffer.from(run, "hex"))) : []),
    ...(has(MARK.percent) && hasThree(text, PERCENT) ? [fromPercent(text)] : []),
    ...(has(MARK.backslash) && hasThree(text, ESCAPE) ? [fromEscapes(text)] : []),
    ...(has(MARK.entity) && hasThree(text, ENTITY) ? [fromEntities(text)] : []),
    ...(has(EXTRAORDINARY | MARK.digitInWord) ? lookAlikeTexts(text, !has(EXTRAORDINARY)) : []),
    ...(has(MARK.plus) ? runs(PIECES, (run) => run.replace(/["'] ?\+ ?["']/gu, "")) : []),
  ]);
  return [...decoded].filter((inner) => inner.length >= 8);
}

/** Whole runs of base64 and hexadecimal digits that are text, also where lines wrap them, and those in them. */
function nestedRuns(text: string, marks: Marks, depth: number): readonly string[] {
  return encodedRuns(text, marks).flatMap(({ text: inner }) =>
    depth === MAX_ENCODED_DEPTH ? [inner] : [inner, ...nestedRuns(inner, marksOf(inner), depth + 1)],
  );
}

/** Escapes and entities that stand for tags or reordering, or for two zero-width characters or more. */
export function countHiddenEscapes(text: string, marks: Marks): number {
  if ((marks & (MARK.backslash | MARK.entity)) === 0 || !/\\u|&#/u.test(text)) return 0;
  const strong = firstMatches(/(?:\\u\{?|&#x)(?:e00[0-7][0-9a-f]|202[a-e]|206[6-9])(?![0-9a-f])/giu, text).length;
  const weak = firstMatches(/(?:\\u\{?|&#x)(?:200[b-f]|2060|feff)(?![0-9a-f])/giu, text).length;
  return strong + (weak > 1 ? weak : 0);
}

/** Fewer are spelling, not hiding. */
function hasThree(text: string, pattern: RegExp): boolean {
  let count = 0;
  for (const _ of text.matchAll(pattern)) {
    count += 1;
    if (count === 3) return true;
  }
  return false;
}

const DIGIT_IN_WORD = /[A-Za-z][013457$@][A-Za-z]/u;
const DIGIT_LETTERS: readonly (readonly [digit: string, letter: string])[] = [
  ["0", "o"],
  ["3", "e"],
  ["4", "a"],
  ["5", "s"],
  ["7", "t"],
  ["$", "s"],
  ["@", "a"],
];

/** The text as it reads where letters are written as look-alikes: of other scripts, or as digits. */
function lookAlikeTexts(text: string, isAscii: boolean): readonly string[] {
  const latin = isAscii ? text : skeletonOf(text.normalize("NFKD").replace(/\p{M}/gu, ""));
  const lines = latin.split("\n").filter((line) => DIGIT_IN_WORD.test(line));
  if (lines.length === 0) return [latin];
  const letters = withLetters(lines.join("\n"));
  const read = isAscii ? [] : [latin];
  return [...read, letters.replaceAll("1", "i"), letters.replaceAll("1", "l")];
}

/** Digits as the letters that they pass for, `1` left out, which passes for two. */
function withLetters(text: string): string {
  return DIGIT_LETTERS.reduce((read, [digit, letter]) => read.replaceAll(digit, letter), text);
}

function firstMatches(pattern: RegExp, text: string): readonly string[] {
  const found: string[] = [];
  for (const { 0: run } of text.matchAll(pattern)) {
    found.push(run);
    if (found.length === MAX_RUNS) break;
  }
  return found;
}

function fromBase64(run: string): string {
  return readable(Buffer.from(run, "base64"));
}

/** The bytes as text if they are mostly printable, else nothing. */
function readable(bytes: Uint8Array): string {
  const text = new TextDecoder().decode(bytes);
  const printable = text.replace(/[^\p{L}\p{N}\p{P}\p{S}\s]|\ufffd/gu, "").length;
  return text.length > 0 && printable / text.length >= 0.9 ? text : "";
}

function fromPercent(run: string): string {
  const bytes = run
    .replace(/\+/gu, " ")
    .replace(/%([0-9A-Fa-f]{2})/gu, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return readable(Buffer.from(bytes, "latin1"));
}

function fromEscapes(run: string): string {
  return run.replace(ESCAPE, (whole, unicode?: string, byte?: string) =>
    characterOf(Number.parseInt(unicode ?? byte ?? "", 16), whole),
  );
}

function fromEntities(run: string): string {
  return run.replace(ENTITY, (whole, hex?: string, decimal?: string) =>
    characterOf(hex === undefined ? Number(decimal) : Number.parseInt(hex, 16), whole),
  );
}

function characterOf(code: number, otherwise: string): string {
  return Number.isInteger(code) && code <= 0x10ffff ? String.fromCodePoint(code) : otherwise;
}
