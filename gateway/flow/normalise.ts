/**
 * Which values of a result are worth remembering, and in which form they are compared (mcp-gateway §18). Pure. Equality of
 * values is all that is claimed: a paraphrase, a summary or a translation has no equal values and is not seen.
 */

import { startOfCharacter, widthAt } from "../characters.ts";

/** Shorter values are equal by chance too often. */
const MIN_CHARACTERS = 8;
/** A token without a digit, `@` or `_` is a word; a long one is not. */
const LONG_TOKEN = 16;

const ASCII = /^\p{ASCII}*$/u;
/** What is taken off at both ends. */
const EDGE = /^[\p{P}\p{S}\s]$/u;
const ASCII_EDGES: readonly boolean[] = Array.from({ length: 0x80 }, (_, code) => EDGE.test(String.fromCharCode(code)));
const OTHER_SPACES = /[^\S ]| {2}/u;
const SPACES = /\s+/gu;
const SEPARATORS = /[\s,;|"'<>()[\]{}=]+/u;
const TELLING = /[\p{Nd}@_]/u;
const ISO_TIME = /^\d{4}-\d{2}-\d{2}(?:[t ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:z|[+-]\d{2}:?\d{2})?)?$/u;
const CONSTANTS: ReadonlySet<string> = new Set([
  "undefined",
  "unavailable",
  "application/json",
  "text/plain",
  "text/html",
  "text/markdown",
  "image/png",
  "image/jpeg",
  "application/pdf",
  "application/octet-stream",
]);
const LONGEST_CONSTANT = 24;

/** What of a text is compared, each value normalised and once. */
export interface TextValues {
  /** The whole text, if it tells something. */
  readonly whole: string | undefined;
  readonly tokens: readonly string[];
  readonly runs: readonly string[];
  /** True if tokens and runs are those of the text's beginning alone. */
  readonly isCut: boolean;
}

const NONE: readonly string[] = [];
const NO_VALUES: TextValues = { whole: undefined, tokens: NONE, runs: NONE, isCut: false };

/**
 * The values of a text. Most names and numbers are too short to have one.
 *
 * @param maxCharacters  of the text that tokens and runs are looked for in; the whole is compared at any length
 */
export function valuesOfText(text: string, maxCharacters: number = Number.POSITIVE_INFINITY): TextValues {
  const isAscii = ASCII.test(text);
  if (isAscii && text.length < MIN_CHARACTERS) return NO_VALUES;
  const folded = fold(text, isAscii);
  const whole = normaliseFolded(folded);
  const isCut = text.length > maxCharacters;
  const start = isCut ? text.slice(0, lastSeparator(text, maxCharacters)) : text;
  const words = isCut ? fold(start, isAscii) : folded;
  return {
    whole: isTelling(whole) ? whole : undefined,
    tokens: isAscii ? tellingOf(asciiTokens(start)) : tellingOf(start.split(SEPARATORS)),
    runs: runsOf(words.replace(isAscii ? BETWEEN_ASCII_WORDS : BETWEEN_WORDS, " ").trim()),
    isCut,
  };
}

/** The last place up to `most` where a token ends: half of one is a value that nobody gave. */
function lastSeparator(text: string, most: number): number {
  for (let at = most; at > 0; at -= 1) if (ASCII_KINDS[text.charCodeAt(at)] === SEPARATES) return at;
  return 0;
}

/** NFKC, lower case, white space collapsed, punctuation at both ends taken off. */
export function normalise(text: string): string {
  return normaliseFolded(fold(text, ASCII.test(text)));
}

/** NFKC and lower case. What is ASCII, as most text, is in NFKC as it stands. */
function fold(text: string, isAscii: boolean): string {
  return (isAscii ? text : text.normalize("NFKC")).toLowerCase();
}

function normaliseFolded(folded: string): string {
  return trimEdges(OTHER_SPACES.test(folded) ? folded.replace(SPACES, " ") : folded);
}

/** Step by step from both ends: a pattern that ends in `$` would try at every place, and take the square of the length. */
function trimEdges(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isEdge(text, start)) start += widthAt(text, start);
  while (start < end) {
    const at = startOfCharacter(text, end);
    if (!isEdge(text, at)) break;
    end = at;
  }
  return start === 0 && end === text.length ? text : text.slice(start, end);
}

function isEdge(text: string, at: number): boolean {
  const code = text.codePointAt(at) ?? 0;
  return ASCII_EDGES[code] ?? EDGE.test(String.fromCodePoint(code));
}

/** True if an equal value elsewhere says something. @param value  normalised */
export function isTelling(value: string): boolean {
  if (value.length < MIN_CHARACTERS || (isDigit(value.charCodeAt(0)) && ISO_TIME.test(value))) return false;
  return value.length > LONGEST_CONSTANT || !CONSTANTS.has(value);
}

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39;
}

/** Of tokens those that are worth comparing, normalised, each once. */
function tellingOf(tokens: readonly string[]): readonly string[] {
  if (tokens.length === 0) return NONE;
  const telling: string[] = [];
  for (const token of tokens) {
    const value = normalise(token);
    const isNoWord = value.length >= LONG_TOKEN || TELLING.test(value);
    if (isNoWord && isTelling(value)) telling.push(value);
  }
  return eachOnce(telling);
}

/** Of few values a set costs more than to compare all of them. */
const FEW = 16;

/** The values in the order in which they come first. */
function eachOnce(values: readonly string[]): readonly string[] {
  if (values.length > FEW) return [...new Set(values)];
  const isRepeated = values.some((value, at) => values.indexOf(value) < at);
  return isRepeated ? [...new Set(values)] : values;
}

const [TELLS, SEPARATES] = [1, 2];
const ASCII_KINDS: Uint8Array = Uint8Array.from({ length: 0x80 }, (_, code) => {
  const character = String.fromCharCode(code);
  return SEPARATORS.test(character) ? SEPARATES : TELLING.test(character) ? TELLS : 0;
});

/**
 * The tokens of a text of ASCII that may be worth comparing: no other is longer once it is normalised, or has a digit then. A pattern
 * would cut all of a text to pieces for the few that are.
 */
function asciiTokens(text: string): readonly string[] {
  const tokens: string[] = [];
  let start = 0;
  let tells = false;
  for (let i = 0; i <= text.length; i += 1) {
    const kind = i < text.length ? ASCII_KINDS[text.charCodeAt(i)] : SEPARATES;
    if (kind === TELLS) tells = true;
    if (kind !== SEPARATES) continue;
    if (i - start >= (tells ? MIN_CHARACTERS : LONG_TOKEN)) tokens.push(text.slice(start, i));
    start = i + 1;
    tells = false;
  }
  return tokens;
}

/** Words of a run. */
const RUN_WORDS = 5;
const BETWEEN_ASCII_WORDS = /[^a-z0-9]+/gu;
const BETWEEN_WORDS = /[^\p{L}\p{Nd}]+/gu;

/**
 * The runs of five words, each once: what copied prose keeps, and two texts hardly share by chance.
 *
 * @param words  all of a text, with one space between each
 */
function runsOf(words: string): readonly string[] {
  let start = 0;
  let end = -1;
  for (let i = 0; i < RUN_WORDS; i += 1) {
    if (end === words.length) return NONE;
    end = endOfWord(words, end + 1);
  }
  const runs = [words.slice(start, end)];
  while (end < words.length) {
    start = words.indexOf(" ", start) + 1;
    end = endOfWord(words, end + 1);
    runs.push(words.slice(start, end));
  }
  return eachOnce(runs);
}

function endOfWord(words: string, start: number): number {
  const end = words.indexOf(" ", start);
  return end < 0 ? words.length : end;
}
