/**
 * Secrets, personal data and what an operator's rules name, where a text holds them encoded or in characters that only look like
 * theirs: found as what they are, at the place of what has to go.
 */

import type { ReadText } from "./encoded-runs.ts";
import { type Hit, NO_HITS } from "./hit.ts";
import { KnownPlaces } from "./known-places.ts";
import { plainView, ViewPlaces } from "./plain-view.ts";
import type { Marks } from "./text-marks.ts";

/** Finds in a text as it stands; `isWhole` if it is all of the text that was asked about. */
export type FindPlain = (text: string, marks: Marks, isWhole: boolean) => readonly Hit[];

/**
 * Finds what is there once a text is decoded.
 *
 * @param plain  what was found in the text as it stands; it is not found again
 */
export function findDisguised(read: ReadText, plain: readonly Hit[], find: FindPlain): readonly Hit[] {
  if (read.isLast) return NO_HITS;
  const view = plainView(read.text, read.marks);
  if (view === undefined && read.runs.length === 0) return NO_HITS;
  const below = (inner: ReadText, isWhole: boolean): readonly Hit[] => {
    const hits = find(inner.text, inner.marks, isWhole);
    return [...hits, ...findDisguised(inner, hits, find)];
  };
  const inView = view === undefined ? NO_HITS : placedIn(read.text, below(read.below(view), true));
  const known = new KnownPlaces(plain);
  const found = new Map<string, Hit>();
  for (const hit of [...inView, ...hitsInRuns(read, below)]) {
    if (!isSaid(known, hit)) found.set(`${hit.rule} ${hit.start}`, hit);
  }
  return [...found.values()];
}

/** What was found in the view of a text, at its places in the text. */
function placedIn(text: string, hits: readonly Hit[]): readonly Hit[] {
  if (hits.length === 0) return NO_HITS;
  const places = new ViewPlaces(text);
  return hits.map((hit) => ({ ...hit, start: places.start(hit.start), end: places.end(hit.end) }));
}

/** What runs say, at their places. A run comes behind its own parts: what these say it does not say again. */
function hitsInRuns(
  { text, runs }: ReadText,
  below: (inner: ReadText, isWhole: boolean) => readonly Hit[],
): readonly Hit[] {
  const found: Hit[] = [];
  const saidUntil = new Map<Hit["rule"], number>();
  for (const { start, end, inner } of runs) {
    const isWhole = start === 0 && end === text.length;
    const fresh = below(inner, isWhole).filter(({ rule }) => (saidUntil.get(rule) ?? 0) <= start);
    for (const hit of fresh) found.push({ ...hit, start, end });
    for (const { rule } of fresh) saidUntil.set(rule, end);
  }
  return found;
}

/** What the text says openly there; the parts of a token are its own. */
function isSaid(known: KnownPlaces, { rule, start, end }: Hit): boolean {
  return known.touches(rule, start, end) || known.covers("secret.jwt", start, end);
}
