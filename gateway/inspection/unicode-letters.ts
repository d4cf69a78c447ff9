/** Letters that are not what they seem: mixed scripts, compatibility forms, piled marks, private and unassigned characters. */

import type { Hit } from "./hit.ts";

const ASCII = /^[\0-\x7f]*$/u;
const WORD = /[\p{L}\p{M}]{2,256}/gu;
const PRIVATE = /\p{Co}{1,64}/gu;
const NONCHARACTER = /[\p{Noncharacter_Code_Point}]/gu;
const UNASSIGNED = /(?!\p{Noncharacter_Code_Point})\p{Cn}/gu;
const PILED = /[\p{Mn}\p{Me}]{5,256}/gu;
/** Of these the four patterns above are made. */
const RARE = /[\p{Co}\p{Cn}\p{Mn}\p{Me}]/u;
/** Letters that NFKC may turn into ASCII: full-width, mathematical, enclosed, superscript and Roman ones. */
const COMPATIBILITY =
  /[\u{ff21}-\u{ff5a}\u{1d400}-\u{1d7ff}\u{2100}-\u{2188}\u{249c}-\u{24e9}\u{1f110}-\u{1f189}\u{2090}-\u{209c}\u{1d2c}-\u{1d6a}\u{02b0}-\u{02b8}]{3,256}/gu;
const EAST_ASIAN = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}]/u;
/** Scripts whose letters pass for Latin ones. */
const LOOKING_LATIN =
  /[\p{Script=Cyrillic}\p{Script=Greek}\p{Script=Armenian}\p{Script=Cherokee}\p{Script=Coptic}\p{Script=Georgian}\p{Script=Lisu}\p{Script=Deseret}\p{Script=Osage}\p{Script=Warang_Citi}]/u;
const LATIN = /\p{Script=Latin}/u;

/** Finds them in running text; in names `block` instead of `warn` is the caller's. */
export function findOddLetters(text: string): readonly Hit[] {
  if (ASCII.test(text)) return [];
  const spans = (rule: Hit["rule"], severity: Hit["severity"], pattern: RegExp): readonly Hit[] =>
    [...text.matchAll(pattern)].map(({ 0: found, index }) => ({
      rule,
      severity,
      start: index,
      end: index + found.length,
    }));
  return [
    ...(RARE.test(text)
      ? [
          ...spans("unicode.private-use", "warn", PRIVATE),
          ...spans("unicode.unassigned", "block", NONCHARACTER),
          ...spans("unicode.unassigned", "warn", UNASSIGNED),
          ...spans("unicode.combining", "warn", PILED),
        ]
      : []),
    ...mixedWords(text),
    ...(EAST_ASIAN.test(text) ? [] : spans("unicode.compatibility", "warn", COMPATIBILITY).filter(isFolded(text))),
  ];
}

function mixedWords(text: string): readonly Hit[] {
  if (!LOOKING_LATIN.test(text)) return [];
  return [...text.matchAll(WORD)]
    .filter(({ 0: word }) => isMixed(word))
    .map(({ 0: word, index }) => ({
      rule: "unicode.mixed-script",
      severity: "warn",
      start: index,
      end: index + word.length,
    }));
}

/** Latin beside a script that passes for it; a Greek letter before a unit (`μm`) is none. */
export function isMixed(word: string): boolean {
  return LATIN.test(word) && LOOKING_LATIN.test(word) && !/^\p{Script=Greek}\p{Script=Latin}{1,2}$/u.test(word);
}

/** True for a run that normalization turns into ASCII letters. */
function isFolded(text: string): (hit: Hit) => boolean {
  return ({ start, end }) => /[A-Za-z]{3}/u.test(text.slice(start, end).normalize("NFKC"));
}
