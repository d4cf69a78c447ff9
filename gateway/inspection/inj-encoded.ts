/**
 * `inj.encoded`: runs of base64, hexadecimal, percent or backslash escapes, entities and joined string pieces that decode to text
 * on which another rule fires; and escapes that spell invisible characters.
 */

import { textOfBytes } from "../wire/bytes-text.ts";
import type { ReadText } from "./encoded-runs.ts";
import { skeletonOf } from "./skeleton.ts";
import { EXTRAORDINARY, MARK, type Marks } from "./text-marks.ts";

/** At most this many runs of a text are decoded. */
const MAX_RUNS = 64;
const MAX_RUN = 16_384;

const PERCENT = /%[0-9A-Fa-f]{2}/gu;
const ESCAPE = /\\(?:u\{?([0-9A-Fa-f]{1,6})\}?|x([0-9A-Fa-f]{2}))/gu;
const ENTITY = /&#(?:x([0-9A-Fa-f]{1,6})|([0-9]{1,7}));/gu;
const PIECES = /(?:["'][^"'\n]{1,64}["'] ?\+ ?){1,64}["'][^"'\n]{0,200}["']/gu;

/** Marks of what may be decoded. */
const ENCODED: Marks =
  EXTRAORDINARY | MARK.run | MARK.percent | MARK.backslash | MARK.entity | MARK.digitInWord | MARK.plus;

const NO_TEXTS: readonly string[] = [];

/** The texts that encoded runs hold, as far as they are text. */
export function decodedRuns(read: ReadText): readonly string[] {
  const { text, marks } = read;
  if ((marks & ENCODED) === 0) return NO_TEXTS;
  const has = (mark: Marks): boolean => (marks & mark) !== 0;
  const decoded = new Set([
    ...textsIn(read),
    ...(has(MARK.percent) && hasThree(text, PERCENT) ? [fromPercent(text)] : []),
    ...(has(MARK.backslash) && hasThree(text, ESCAPE) ? [fromEscapes(text)] : []),
    ...(has(MARK.entity) && hasThree(text, ENTITY) ? [fromEntities(text)] : []),
    ...(has(EXTRAORDINARY | MARK.digitInWord) ? lookAlikeTexts(text, !has(EXTRAORDINARY)) : []),
    ...(has(MARK.plus) ? firstMatches(PIECES, text).map(joined) : []),
  ]);
  return [...decoded].filter((inner) => inner.length >= 8);
}

/** What runs say, and those in them. */
function textsIn({ runs }: ReadText): readonly string[] {
  return runs.flatMap(({ inner }) => [inner.text, ...textsIn(inner)]);
}

function joined(pieces: string): string {
  return pieces.slice(0, MAX_RUN).replace(/["'] ?\+ ?["']/gu, "");
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

function fromPercent(run: string): string {
  const bytes = run
    .replace(/\+/gu, " ")
    .replace(/%([0-9A-Fa-f]{2})/gu, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return textOfBytes(Buffer.from(bytes, "latin1")) ?? "";
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
