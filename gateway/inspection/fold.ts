/**
 * One spelling of a text for rules about words: NFKC, invisible characters removed, typographic quotes and white space made plain,
 * lower case. Rules about wording run on it; a rule that only fires here fires because something was hidden.
 */

import { EXTRAORDINARY, MARK, type Marks, marksOf } from "./text-marks.ts";

const IGNORABLE = /[\p{Default_Ignorable_Code_Point}\p{Cf}]/gu;
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters do not end a word
const CONTROL = /[\x00-\x08\x0e-\x1f\x7f-\x9f]/gu;

/** The fold; it has no offsets in common with the text. */
export function foldText(text: string, marks: Marks = marksOf(text)): string {
  if ((marks & EXTRAORDINARY) === 0) return plainAscii(text, marks);
  return plainText(text.normalize("NFKC").replace(IGNORABLE, "").replace(CONTROL, ""));
}

/** White space, quotes and case made plain, and nothing removed: what is visible as it stands. */
export function plainText(text: string, marks: Marks = marksOf(text)): string {
  if ((marks & EXTRAORDINARY) === 0) return plainAscii(text, marks);
  const quoted = plainQuotes(text.toLowerCase());
  return /[\t\r\n]| {2}|[^\S ]/u.test(quoted) ? plainSpace(quoted) : quoted;
}

/** Most texts have nothing to fold but capitals. */
function plainAscii(text: string, marks: Marks): string {
  const lower = (marks & MARK.upper) === 0 ? text : text.toLowerCase();
  const quoted = (marks & MARK.backtick) === 0 ? lower : lower.replaceAll("`", "'");
  const isPlain = (marks & MARK.loose) === 0 && ((marks & MARK.newline) === 0 || !hasSpaceAround(quoted));
  return isPlain ? quoted : plainSpace(quoted);
}

function hasSpaceAround(text: string): boolean {
  return isSpace(text.charCodeAt(0)) || isSpace(text.charCodeAt(text.length - 1));
}

function plainQuotes(lower: string): string {
  return lower.replace(/[\u2018\u2019\u02bc\u0060\u00b4]/gu, "'").replace(/[\u201c\u201d]/gu, '"');
}

/** Each run of white space as one line end if it has one in it, else as one space; none at the ends. */
function plainSpace(text: string): string {
  let result = "";
  let done = 0;
  for (let at = 0; at < text.length; at += 1) {
    if (!isSpace(text.charCodeAt(at))) continue;
    const end = endOfSpace(text, at);
    const gap = at === 0 || end === text.length ? "" : gapFor(text, at, end);
    if (end - at !== gap.length || text.charAt(at) !== gap) {
      result += text.slice(done, at) + gap;
      done = end;
    }
    at = end;
  }
  return done === 0 ? text : result + text.slice(done);
}

function endOfSpace(text: string, from: number): number {
  let end = from + 1;
  while (end < text.length && isSpace(text.charCodeAt(end))) end += 1;
  return end;
}

function gapFor(text: string, from: number, to: number): string {
  for (let at = from; at < to; at += 1) {
    const code = text.charCodeAt(at);
    if (code === LINE_FEED || code === CARRIAGE_RETURN) return "\n";
  }
  return " ";
}

const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
/** White space beyond ASCII, the first of it first. */
const WIDE_SPACE = 0xa0;
const WIDE_SPACES: ReadonlySet<number> = new Set(
  Array.from({ length: 0x1_0000 - WIDE_SPACE }, (_, index) => WIDE_SPACE + index).filter((code) =>
    /\s/u.test(String.fromCharCode(code)),
  ),
);

/** As `\s` has it. */
function isSpace(code: number): boolean {
  if (code === 0x20 || (code >= 0x09 && code <= CARRIAGE_RETURN)) return true;
  return code >= WIDE_SPACE && WIDE_SPACES.has(code);
}
