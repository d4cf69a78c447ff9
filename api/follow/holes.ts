/**
 * Entries that were served with other bytes than those of the tree. They are fetched again, in later steps and ever more
 * rarely: a damaged cache heals, a disk is replaced, and a hole in the index should not outlive its cause.
 */

import { integer, object, type Shape } from "../../kernel/shape.ts";
import { holeKey, rangeUnder } from "../index/keys.ts";
import { type Draft, parseRow, type RowStore } from "../index/rows.ts";

/** One hole. */
export type HoleRow = {
  readonly index: number;
  /** Fetches that gave wrong bytes, the first included. */
  readonly tries: number;
  /** When to fetch it again, milliseconds since 1970. */
  readonly next_ms: number;
};

const FIRST_PAUSE_MS = 60_000;
const MAX_PAUSE_MS = 86_400_000;
/** Doublings of the pause after which it has its maximum. */
const MAX_DOUBLINGS = 11;
/** Holes that one step looks at, and fetches. A ledger that makes more waits longer for them. */
const MAX_LOOKS = 1024;
const MAX_FETCHES = 16;

const holeRowShape: Shape<HoleRow> = object<HoleRow>({ index: integer(), tries: integer(), next_ms: integer() });

/** Holes that are due, in the order of the log. */
export async function dueHoles(rows: RowStore, nowMs: number): Promise<readonly HoleRow[]> {
  const due: HoleRow[] = [];
  let looks = 0;
  for await (const { value } of rows.range(rangeUnder("h"))) {
    const hole = parseRow(value, holeRowShape);
    if (hole.next_ms <= nowMs) due.push(hole);
    looks += 1;
    if (due.length >= MAX_FETCHES || looks >= MAX_LOOKS) break;
  }
  return due;
}

/** Notes one more fetch that gave wrong bytes. */
export function putHole(draft: Draft, index: number, tries: number, nowMs: number): void {
  const pauseMs = Math.min(MAX_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(tries - 1, MAX_DOUBLINGS));
  draft.putJson(holeKey(index), { index, tries, next_ms: nowMs + pauseMs });
}

/** Forgets a hole that is filled. */
export function removeHole(draft: Draft, index: number): void {
  draft.remove(holeKey(index));
}
