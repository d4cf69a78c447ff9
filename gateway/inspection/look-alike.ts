/**
 * `name.look-alike`: names that read like another (mcp-gateway §14.3). Two names are alike if they are the same but for case,
 * separators, look-alike letters and the words everybody adds; if their parts are the same in another order; or if few typing
 * errors lie between them.
 */

import { skeletonOf } from "./skeleton.ts";

/** Words that say nothing about whose a server is. */
const AFFIXES: ReadonlySet<string> = new Set(["official", "mcp", "server"]);

/** True if the names differ and a person would take one for the other. Scopes and names of packages are compared apart. */
export function looksLike(name: string, other: string): boolean {
  if (name === other) return false;
  const [scope, own] = splitScope(name);
  const [otherScope, otherOwn] = splitScope(other);
  if (scope === "" && otherScope === "") return isAlike(own, otherOwn);
  if (scope === "" || otherScope === "") return false;
  return (scope === otherScope || isAlike(scope, otherScope)) && (own === otherOwn || isAlike(own, otherOwn));
}

function splitScope(name: string): readonly [scope: string, name: string] {
  const match = /^@([^/]{1,214})\/(.{1,214})$/u.exec(name);
  return match === null ? ["", name] : [match[1] ?? "", match[2] ?? ""];
}

function isAlike(name: string, other: string): boolean {
  const [all, otherAll] = [foldedParts(name), foldedParts(other)];
  const [parts, otherParts] = [ownParts(all), ownParts(otherAll)];
  if (areClose(parts, otherParts)) return true;
  // A typing error in a word that everybody adds: only one of the two has it.
  const removed = all.length - parts.length;
  return removed !== otherAll.length - otherParts.length && areClose(all, otherAll);
}

function areClose(parts: readonly string[], otherParts: readonly string[]): boolean {
  const [bare, otherBare] = [parts.join(""), otherParts.join("")];
  if (bare === otherBare || isPermutation(parts, otherParts)) return true;
  const most = typingErrors(Math.min(bare.length, otherBare.length));
  return most > 0 && isWithinDistance(bare, otherBare, most);
}

/** Parts between separators, folded to what they look like. */
function foldedParts(name: string): readonly string[] {
  const folded = skeletonOf(name.normalize("NFKC").toLowerCase()).toLowerCase();
  return folded
    .split(/[^\p{L}\p{N}]{1,64}/u)
    .filter((part) => part !== "")
    .map((part) =>
      AFFIXES.has(part) ? part : part.replaceAll("rn", "m").replaceAll(/[1i]/gu, "l").replaceAll("0", "o"),
    );
}

/** Without the words that everybody adds, unless nothing else is there. */
function ownParts(parts: readonly string[]): readonly string[] {
  const own = parts.filter((part) => !AFFIXES.has(part));
  return own.length === 0 ? parts : own;
}

function isPermutation(parts: readonly string[], others: readonly string[]): boolean {
  return parts.length > 1 && parts.toSorted().join("\n") === others.toSorted().join("\n");
}

/** Short names are close to many others by chance. */
function typingErrors(length: number): number {
  if (length < 5) return 0;
  return length < 9 ? 1 : 2;
}

/** Damerau-Levenshtein distance (adjacent transpositions count one) of at most `most`. */
function isWithinDistance(a: string, b: string, most: number): boolean {
  if (Math.abs(a.length - b.length) > most) return false;
  let beforeLast: readonly number[] = [];
  let last: readonly number[] = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i += 1) {
    const row: number[] = [i];
    for (let j = 1; j <= b.length; j += 1) row.push(costAt(a, b, i, j, row, last, beforeLast));
    if (Math.min(...row) > most) return false;
    beforeLast = last;
    last = row;
  }
  return (last[b.length] ?? most + 1) <= most;
}

/** Cost of the first `i` and `j` characters, from the rows before. */
function costAt(
  a: string,
  b: string,
  i: number,
  j: number,
  row: readonly number[],
  last: readonly number[],
  beforeLast: readonly number[],
): number {
  const replaced = (last[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
  const cost = Math.min((last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, replaced);
  const isSwapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
  return isSwapped ? Math.min(cost, (beforeLast[j - 2] ?? 0) + 1) : cost;
}
