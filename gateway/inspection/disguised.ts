/**
 * Secrets, personal data and what an operator's rules name, where a text holds them encoded or in characters that only look like
 * theirs: found as what they are, at the place of what has to go.
 */

import { encodedRuns, MAX_ENCODED_DEPTH } from "./encoded-runs.ts";
import { type Hit, NO_HITS } from "./hit.ts";
import { KnownPlaces } from "./known-places.ts";
import { plainView, ViewPlaces } from "./plain-view.ts";
import { type Marks, marksOf } from "./text-marks.ts";

/** Finds in a text as it stands; `isWhole` if it is all of the text that was asked about. */
export type FindPlain = (text: string, marks: Marks, isWhole: boolean) => readonly Hit[];

/**
 * Finds what is there once a text is decoded.
 *
 * @param plain  what was found in the text as it stands; it is not found again
 */
export function findDisguised(text: string, marks: Marks, plain: readonly Hit[], find: FindPlain): readonly Hit[] {
  return look(text, marks, plain, find, 1);
}

function look(text: string, marks: Marks, plain: readonly Hit[], find: FindPlain, depth: number): readonly Hit[] {
  const view = plainView(text, marks);
  const runs = encodedRuns(text, marks);
  if (view === undefined && runs.length === 0) return NO_HITS;
  const found = new Map<string, Hit>();
  const known = new KnownPlaces(plain);
  const add = (hit: Hit): void => {
    if (!isSaid(known, hit)) found.set(`${hit.rule} ${hit.start}`, hit);
  };
  const below = (inner: string, isWhole: boolean): readonly Hit[] => {
    const innerMarks = marksOf(inner);
    const hits = find(inner, innerMarks, isWhole);
    return depth === MAX_ENCODED_DEPTH ? hits : [...hits, ...look(inner, innerMarks, hits, find, depth + 1)];
  };
  if (view !== undefined) {
    const hits = below(view, true);
    const places = hits.length === 0 ? undefined : new ViewPlaces(text);
    for (const hit of hits) {
      if (places !== undefined) add({ ...hit, start: places.start(hit.start), end: places.end(hit.end) });
    }
  }
  for (const { start, end, text: inner } of runs) {
    const isWhole = start === 0 && end === text.length;
    for (const hit of below(inner, isWhole)) add({ ...hit, start, end });
  }
  return [...found.values()];
}

/** What the text says openly there; the parts of a token are its own. */
function isSaid(known: KnownPlaces, { rule, start, end }: Hit): boolean {
  return known.touches(rule, start, end) || known.covers("secret.jwt", start, end);
}
