/**
 * `pii.card`: payment card numbers of 12 to 19 digits by known prefix and Luhn's check digit (ISO/IEC 7812-1), in one run or in
 * the groups that are printed on cards.
 */

import type { Hit } from "./hit.ts";

/** Digits, and single spaces or hyphens between them; a letter, a digit or a decimal point beside it makes it another number. */
const RUN = /(?<![\p{L}\p{N}_.])\d(?:[ -]?\d){11,39}(?![\p{L}\p{N}_]|\.\d)/gu;

/** Groups as they are printed. */
const GROUPINGS: ReadonlySet<string> = new Set([
  "4-4-4-4",
  "4-6-5",
  "4-6-4",
  "4-4-4-4-3",
  "4-4-4-1",
  "4-4-4-2",
  "4-4-5",
]);

/** First digits from, to, and the lengths of such numbers. */
const ISSUERS: readonly (readonly [from: number, to: number, digits: number, lengths: readonly number[]])[] = [
  [4, 4, 1, [13, 16, 19]],
  [51, 55, 2, [16]],
  [2221, 2720, 4, [16]],
  [2200, 2204, 4, [16, 17, 18, 19]],
  [34, 34, 2, [15]],
  [37, 37, 2, [15]],
  [300, 305, 3, [14, 16, 19]],
  [3095, 3095, 4, [14, 16, 19]],
  [36, 36, 2, [14, 15, 16, 17, 18, 19]],
  [38, 39, 2, [14, 16, 19]],
  [35, 35, 2, [16]],
  [3528, 3589, 4, [17, 18, 19]],
  [2131, 2131, 4, [15]],
  [1800, 1800, 4, [15]],
  [6011, 6011, 4, [16, 19]],
  [644, 649, 3, [16, 19]],
  [65, 65, 2, [16, 19]],
  [62, 62, 2, [16, 17, 18, 19]],
  [5018, 5018, 4, [12, 13, 14, 15, 16, 17, 18, 19]],
  [5020, 5020, 4, [12, 13, 14, 15, 16, 17, 18, 19]],
  [5038, 5038, 4, [12, 13, 14, 15, 16, 17, 18, 19]],
  [56, 58, 2, [12, 13, 14, 15, 16, 17, 18, 19]],
  [6304, 6304, 4, [12, 13, 14, 15, 16, 17, 18, 19]],
  [6759, 6763, 4, [12, 13, 14, 15, 16, 17, 18, 19]],
];

/** Finds card numbers; cost: a few checks for each run of digits. */
export function findCards(text: string): readonly Hit[] {
  return [...text.matchAll(RUN)].flatMap(({ 0: run, index }) => cardIn(run, index));
}

/** The first card of a run, and what comes behind it. */
function cardIn(run: string, offset: number): readonly Hit[] {
  const groups = [...run.matchAll(/\d{1,40}/gu)];
  for (let first = 0; first < groups.length; first += 1) {
    // Every printed grouping begins with four digits.
    if (groups.length > 1 && groups[first]?.[0].length !== 4 && (groups[first]?.[0].length ?? 0) < 12) continue;
    for (let count = Math.min(5, groups.length - first); count >= 1; count -= 1) {
      const [head, tail] = [groups[first], groups[first + count - 1]];
      if (head === undefined || tail === undefined) continue;
      const end = tail.index + tail[0].length;
      if (isCard(run.slice(head.index, end), count)) {
        const rest = run.slice(end);
        const own: Hit = { rule: "pii.card", severity: "warn", start: offset + head.index, end: offset + end };
        return [own, ...cardIn(rest, offset + end)];
      }
    }
  }
  return [];
}

function isCard(text: string, groups: number): boolean {
  const digits = text.replace(/[ -]/gu, "");
  const separators = new Set(text.replace(/\d/gu, ""));
  const isPrinted = groups === 1 || (separators.size === 1 && GROUPINGS.has(groupingOf(text)));
  return isPrinted && hasIssuer(digits) && new Set(digits).size > 1 && hasLuhnDigit(digits);
}

function groupingOf(text: string): string {
  return text
    .split(/[ -]/u)
    .map(({ length }) => length)
    .join("-");
}

function hasIssuer(digits: string): boolean {
  return ISSUERS.some(([from, to, count, lengths]) => {
    const prefix = Number(digits.slice(0, count));
    return prefix >= from && prefix <= to && lengths.includes(digits.length);
  });
}

function hasLuhnDigit(digits: string): boolean {
  let sum = 0;
  for (let i = 0; i < digits.length; i += 1) {
    const digit = Number(digits.charAt(digits.length - 1 - i));
    const doubled = i % 2 === 1 ? digit * 2 : digit;
    sum += doubled > 9 ? doubled - 9 : doubled;
  }
  return sum % 10 === 0;
}
