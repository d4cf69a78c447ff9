/**
 * A text as it reads otherwise: by ROT13, backwards, and with letters joined that were set apart. Orders are hidden so without effort;
 * what only looks so says nothing once it is read. Cost: linear.
 */

/** Shorter texts hold no order. */
const MIN_TEXT = 16;
/** Letters in a row that are set apart; fewer are a list. */
const MIN_LETTERS = 6;
/** Characters between two of them. */
const MAX_GAP = 8;
const NO_TEXTS: readonly string[] = [];

/**
 * The readings of a text by ROT13 and backwards.
 *
 * @param folded  the fold of the text; the readings are folded as well
 */
export function respelledTexts(folded: string): readonly string[] {
  if (folded.length < MIN_TEXT) return NO_TEXTS;
  const isAscii = ASCII.test(folded);
  const units = unitsOf(folded, isAscii);
  const reversed = textOf(units.slice().reverse(), isAscii);
  return [textOf(rot13(units), isAscii), reversed];
}

const ASCII = /^[\0-\x7f]*$/u;

/** Code units of a text; most are of one byte, and faster so. */
type Units = Uint8Array | Uint16Array;

const HALF = 13;
const CASE = 0x20;
const FIRST = 0x61;
const LAST = 0x7a;

function rot13(units: Units): Units {
  for (let at = 0; at < units.length; at += 1) {
    const unit = units[at] ?? 0;
    if (isLetter(unit)) units[at] = unit + ((unit | CASE) < FIRST + HALF ? HALF : -HALF);
  }
  return units;
}

function unitsOf(text: string, isAscii: boolean): Units {
  const bytes = new Uint8Array(isAscii ? text.length : text.length * 2);
  Buffer.from(bytes.buffer).write(text, isAscii ? "latin1" : "utf16le");
  return isAscii ? bytes : new Uint16Array(bytes.buffer);
}

function textOf(units: Units, isAscii: boolean): string {
  return Buffer.from(units.buffer).toString(isAscii ? "latin1" : "utf16le");
}

/**
 * Each row of single letters of a text as words: `i g n o r e   a l l`, `i.g.n.o.r.e a.l.l`. Where all gaps are one no word ends.
 *
 * @param text  as it stands: the fold keeps no gaps
 */
export function joinedLetters(text: string): readonly string[] {
  const found: string[] = [];
  for (let at = 0; at < text.length; at += 1) {
    if (!isSingle(text, at)) continue;
    const row = readRow(text, at);
    if (row.letters >= MIN_LETTERS) found.push(row.words);
    at = row.end;
  }
  return found;
}

interface Row {
  readonly words: string;
  readonly letters: number;
  /** Offset of the last letter. */
  readonly end: number;
}

function readRow(text: string, start: number): Row {
  let [words, letters, end] = [text.charAt(start), 1, start];
  let usual: string | undefined;
  for (let next = nextSingle(text, end); next !== undefined; next = nextSingle(text, end)) {
    const gap = text.slice(end + 1, next);
    if (gap.length === 1) usual ??= gap;
    words += gap === usual ? text.charAt(next) : ` ${text.charAt(next)}`;
    letters += 1;
    end = next;
  }
  return { words, letters, end };
}

/** The next single letter behind a gap; undefined if something else comes first. */
function nextSingle(text: string, from: number): number | undefined {
  for (let at = from + 1; at <= from + 1 + MAX_GAP && at < text.length; at += 1) {
    if (isInWord(text.charCodeAt(at))) return at > from + 1 && isSingle(text, at) ? at : undefined;
  }
  return undefined;
}

/** True of a letter that stands alone. */
function isSingle(text: string, at: number): boolean {
  const isAlone = !isInWord(text.charCodeAt(at - 1)) && !isInWord(text.charCodeAt(at + 1));
  return isAlone && isLetter(text.charCodeAt(at));
}

function isLetter(unit: number): boolean {
  const small = unit | CASE;
  return unit < 0x80 && small >= FIRST && small <= LAST;
}

/** No number, which is what stands in front of a text and behind it, is in a word. */
function isInWord(unit: number): boolean {
  return isLetter(unit) || (unit >= 0x30 && unit <= 0x39);
}
