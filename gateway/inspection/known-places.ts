/** Where in a text each rule found something, to be asked for as many places as there are: a text may have a hundred thousand. */

import type { Hit } from "./hit.ts";

/** Places of one rule that do not overlap, in their order. */
interface Places {
  readonly starts: readonly number[];
  readonly ends: readonly number[];
}

/** The places of some hits. A question costs the logarithm of their number. */
export class KnownPlaces {
  readonly #hits: readonly Hit[];
  #byRule: ReadonlyMap<string, Places> | undefined;

  constructor(hits: readonly Hit[]) {
    this.#hits = hits;
  }

  /** True if the rule found something that has a character in common with [start, end). */
  touches(rule: Hit["rule"], start: number, end: number): boolean {
    const places = this.#of(rule);
    if (places === undefined) return false;
    const last = lastBefore(places.starts, end);
    return (places.ends[last] ?? 0) > start;
  }

  /** True if all of [start, end) is in what the rule found. */
  covers(rule: Hit["rule"], start: number, end: number): boolean {
    const places = this.#of(rule);
    if (places === undefined) return false;
    const last = lastBefore(places.starts, start + 1);
    return (places.ends[last] ?? 0) >= end;
  }

  /** Nothing is sorted for a text in which nothing is disguised. */
  #of(rule: Hit["rule"]): Places | undefined {
    this.#byRule ??= new Map([...groupByRule(this.#hits)].map(([of, hits]) => [of, placesOf(hits)]));
    return this.#byRule.get(rule);
  }
}

function groupByRule(hits: readonly Hit[]): ReadonlyMap<string, Hit[]> {
  const groups = new Map<string, Hit[]>();
  for (const hit of hits) {
    const group = groups.get(hit.rule);
    if (group === undefined) groups.set(hit.rule, [hit]);
    else group.push(hit);
  }
  return groups;
}

/** Those that overlap become one. */
function placesOf(hits: Hit[]): Places {
  const starts: number[] = [];
  const ends: number[] = [];
  for (const { start, end } of hits.sort((a, b) => a.start - b.start)) {
    const last = ends.length - 1;
    if (start < (ends[last] ?? 0)) ends[last] = Math.max(end, ends[last] ?? 0);
    else {
      starts.push(start);
      ends.push(end);
    }
  }
  return { starts, ends };
}

/** Index of the last one below `limit`; -1 if there is none. */
function lastBefore(sorted: readonly number[], limit: number): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sorted[middle] ?? 0) < limit) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
