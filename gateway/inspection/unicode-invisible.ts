/**
 * Characters that nobody sees and a model reads: tags, zero-width characters, reordering, variation selectors and fillers
 * (mcp-gateway §14.2). What a script or an emoji needs is let pass.
 */

import type { FindingCode } from "../../kernel/receipt/findings.ts";
import type { Severity } from "../../kernel/receipt/vocabulary.ts";
import { startOfCharacter } from "../characters.ts";
import type { Hit } from "./hit.ts";

/** Everything that this file may report. */
const SUSPECT =
  /\u034f|[\ufe00-\ufe0f]|[\u00ad\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\u3164\ufeff\uffa0\u{e0000}-\u{e007f}]|[\u{e0100}-\u{e01ef}]/gu;

/** England, Scotland and Wales: a black flag, letters in tags, the cancel tag. */
const FLAG =
  /\u{1f3f4}\u{e0067}\u{e0062}(?:\u{e0065}\u{e006e}\u{e0067}|\u{e0073}\u{e0063}\u{e0074}|\u{e0077}\u{e006c}\u{e0073})\u{e007f}/gu;

const PICTOGRAPH_BEFORE = /\p{Extended_Pictographic}(?:\ufe0f|\p{Emoji_Modifier})?$/u;
const PICTOGRAPH_BEHIND = /^\p{Extended_Pictographic}/u;
/** Scripts whose spelling uses joiners: Arabic and its like, and the Indic ones. */
const JOINING =
  /[\p{scx=Arabic}\p{scx=Syriac}\p{scx=Nko}\p{scx=Mongolian}\p{scx=Devanagari}\p{scx=Bengali}\p{scx=Gurmukhi}\p{scx=Gujarati}\p{scx=Oriya}\p{scx=Tamil}\p{scx=Telugu}\p{scx=Kannada}\p{scx=Malayalam}\p{scx=Sinhala}]/u;
const UNSPACED = /[\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]/u;
const RIGHT_TO_LEFT = /[\p{scx=Hebrew}\p{scx=Arabic}\p{scx=Syriac}\p{scx=Thaana}\p{scx=Nko}\p{Script=Adlam}]/u;
const VARIED = /[\p{Script=Han}\p{Script=Myanmar}\p{Script=Phags_Pa}\p{Sm}\u{1d400}-\u{1d7ff}]/u;

type Kind = { readonly rule: FindingCode; readonly severity: Severity };

/** Finds invisible characters that no script and no emoji explains; runs of one rule are one hit. */
export function findInvisible(text: string): readonly Hit[] {
  const inFlags = placesInFlags(text);
  const hits: Hit[] = [];
  let run: Run | undefined;
  SUSPECT.lastIndex = 0;
  // Asked for the place alone: a text may be all suspects, and a match would be made for each.
  while (SUSPECT.test(text)) {
    const end = SUSPECT.lastIndex;
    const start = startOfCharacter(text, end);
    const kind = inFlags.has(start) ? undefined : kindOf(text, start);
    if (kind === undefined) continue;
    if (run?.kind === kind && run.end === start) {
      run.end = end;
      continue;
    }
    if (run !== undefined) hits.push(hitOf(run));
    run = { kind, start, end };
  }
  if (run !== undefined) hits.push(hitOf(run));
  return hits;
}

type Run = { readonly kind: Kind; readonly start: number; end: number };

function hitOf({ kind, start, end }: Run): Hit {
  return { ...kind, start, end };
}

function placesInFlags(text: string): ReadonlySet<number> {
  const places = new Set<number>();
  for (const { 0: flag, index } of text.matchAll(FLAG)) {
    for (let at = index; at < index + flag.length; at += 1) places.add(at);
  }
  return places;
}

const TAG: Kind = { rule: "unicode.tag", severity: "block" };
const ZERO_WIDTH: Kind = { rule: "unicode.zero-width", severity: "block" };
const BIDI_MARK: Kind = { rule: "unicode.bidi-mark", severity: "warn" };
const BIDI: Kind = { rule: "unicode.bidi", severity: "block" };
const VARIATION: Kind = { rule: "unicode.variation", severity: "block" };
const OPERATOR: Kind = { rule: "unicode.invisible-operator", severity: "block" };
const SOFT_OPERATOR: Kind = { rule: "unicode.invisible-operator", severity: "warn" };

function kindOf(text: string, at: number): Kind | undefined {
  const code = text.codePointAt(at) ?? 0;
  if (code >= 0xe0000 && code <= 0xe007f) return TAG;
  if (ZERO_WIDTHS.has(code)) return isNeeded(text, at, code) ? undefined : ZERO_WIDTH;
  if (MARKS.has(code)) return isBesideRightToLeft(text, at) ? undefined : BIDI_MARK;
  if (isReordering(code)) return BIDI;
  if (isSelector(code)) return isVariation(text, at, code) ? undefined : VARIATION;
  return SOFT.has(code) ? SOFT_OPERATOR : OPERATOR;
}

/** Zero-width space, joiners, word joiner, byte order mark, Mongolian vowel separator. */
const ZERO_WIDTHS: ReadonlySet<number> = new Set([0x200b, 0x200c, 0x200d, 0x2060, 0xfeff, 0x180e]);
const MARKS: ReadonlySet<number> = new Set([0x200e, 0x200f, 0x061c]);

function isReordering(code: number): boolean {
  return (code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
}

/** True where a script or an emoji is spelled with it. */
function isNeeded(text: string, at: number, code: number): boolean {
  if (text.charCodeAt(at - 1) < 0x80) return false;
  if (code === 0x200b) return isBreak(text, at);
  return (code === 0x200c || code === 0x200d) && isJoining(text, at, code);
}

function isBesideRightToLeft(text: string, at: number): boolean {
  return RIGHT_TO_LEFT.test(before(text, at) + behind(text, at + 1));
}

/** Soft hyphen, grapheme joiner, Khmer vowels: they appear in honest text, seldom. */
const SOFT: ReadonlySet<number> = new Set([0x00ad, 0x034f, 0x17b4, 0x17b5]);

function isSelector(code: number): boolean {
  return (code >= 0xfe00 && code <= 0xfe0f) || (code >= 0xe0100 && code <= 0xe01ef);
}

/** An emoji sequence, or the spelling of a script that joins its letters. */
function isJoining(text: string, at: number, code: number): boolean {
  if (code === 0x200d && PICTOGRAPH_BEHIND.test(behind(text, at + 1))) {
    if (PICTOGRAPH_BEFORE.test(text.slice(Math.max(0, at - 8), at))) return true;
  }
  return JOINING.test(before(text, at));
}

function isBreak(text: string, at: number): boolean {
  return UNSPACED.test(before(text, at)) && UNSPACED.test(behind(text, at + 1));
}

/** One selector behind a character that has variations. */
function isVariation(text: string, at: number, code: number): boolean {
  const base = before(text, at);
  if (code === 0xfe0e || code === 0xfe0f) return /\p{Emoji}/u.test(base);
  if (code <= 0xfe0f) return code <= 0xfe0d && VARIED.test(base);
  return /\p{Script=Han}/u.test(base);
}

/** The character that ends at `at`. */
function before(text: string, at: number): string {
  return text.slice(startOfCharacter(text, at), at);
}

/** The character at `at`. */
function behind(text: string, at: number): string {
  const code = text.codePointAt(at);
  return code === undefined ? "" : String.fromCodePoint(code);
}
