/**
 * What a rule found in one text: the rule, its weight and the place, in UTF-16 code units. Never the text itself: hits are
 * turned into findings of counts and declared places before they leave this folder.
 */

import type { FindingCode } from "../../kernel/receipt/findings.ts";
import type { Severity } from "../../kernel/receipt/vocabulary.ts";

/** One occurrence of a rule. */
export interface Hit {
  readonly rule: FindingCode;
  readonly severity: Severity;
  /** Offset of the first code unit, and of the one behind the last. */
  readonly start: number;
  readonly end: number;
}

/** What most texts hold. */
export const NO_HITS: readonly Hit[] = [];

/** Finds the occurrences of one or a few rules. Time is linear in the length of the text. */
export type Recogniser = (text: string) => readonly Hit[];

/** The weightier of two severities. */
export function worse(a: Severity, b: Severity): Severity {
  return RANKS[a] >= RANKS[b] ? a : b;
}

const RANKS: Readonly<Record<Severity, number>> = { info: 0, warn: 1, block: 2 };

/** Keeps, of hits that come one rule after another, those whose place no earlier one has taken. Cost: the length of the text. */
export class Places {
  readonly #length: number;
  readonly #kept: Hit[] = [];
  /** Made for the first hit: most texts have none. */
  #taken: Uint8Array | undefined;

  constructor(length: number) {
    this.#length = length;
  }

  /** Hits of one rule, which do not overlap each other. */
  take(hits: readonly Hit[]): void {
    for (const hit of hits) {
      this.#taken ??= new Uint8Array(this.#length);
      if (this.#taken.subarray(hit.start, hit.end).includes(1)) continue;
      this.#taken.fill(1, hit.start, hit.end);
      this.#kept.push(hit);
    }
  }

  /** What was kept, in the order of the text. */
  kept(): readonly Hit[] {
    return this.#kept.length < 2 ? this.#kept : this.#kept.toSorted((a, b) => a.start - b.start);
  }
}
