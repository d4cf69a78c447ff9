/**
 * Finds the matches of many patterns in one walk over a text: at each place that begins like a pattern, that pattern is tried there
 * and nowhere else. Cost: one table look-up for each character, and the bounded work of a pattern where its first letters stand.
 */

import { invariant } from "../../kernel/errors.ts";
import { headsOf } from "./pattern-heads.ts";

/** Takes a match: which pattern, and where it starts and ends. */
export type Found = (pattern: number, start: number, end: number) => void;

const ASCII = 128;

/** Patterns, indexed by how they begin. */
export class WordSearch {
  readonly #sticky: readonly RegExp[];
  readonly #byHead = new Map<number, number[]>();
  /** 1 where two characters of ASCII begin a pattern; beyond ASCII the first decides. */
  readonly #pairs = new Uint8Array(ASCII * ASCII);
  readonly #wide = new Set<number>();

  constructor(patterns: readonly RegExp[]) {
    this.#sticky = patterns.map(({ source }) => new RegExp(source, "uy"));
    patterns.forEach(({ source }, index) => {
      const heads = headsOf(source);
      invariant(heads !== undefined, `this pattern can begin with anything: ${source}`);
      for (const head of heads) this.#mark(head, index);
    });
  }

  /** Calls `found` for each match, in the order of the text; matches of one pattern may overlap. */
  each(text: string, found: Found): void {
    for (let at = 0; at < text.length; at += 1) {
      const first = text.charCodeAt(at);
      const begins =
        first < ASCII ? this.#pairs[first * ASCII + lowOf(text.charCodeAt(at + 1))] === 1 : this.#wide.has(first);
      if (begins) this.#tryAt(text, at, found);
    }
  }

  #tryAt(text: string, at: number, found: Found): void {
    const [first, second, third] = [text.charCodeAt(at), text.charCodeAt(at + 1), text.charCodeAt(at + 2)];
    this.#tryAll(this.#byHead.get(first), text, at, found);
    if (at + 1 >= text.length) return;
    this.#tryAll(this.#byHead.get(keyOf(first, second)), text, at, found);
    if (at + 2 < text.length) this.#tryAll(this.#byHead.get(keyOf(first, second, third)), text, at, found);
  }

  #tryAll(patterns: readonly number[] | undefined, text: string, at: number, found: Found): void {
    if (patterns === undefined) return;
    for (const pattern of patterns) {
      const regex = this.#sticky[pattern];
      if (regex === undefined) continue;
      regex.lastIndex = at;
      if (regex.test(text)) found(pattern, at, regex.lastIndex);
    }
  }

  #mark(head: string, pattern: number): void {
    const first = head.charCodeAt(0);
    const key =
      head.length === 1 ? first : keyOf(first, head.charCodeAt(1), head.length === 3 ? head.charCodeAt(2) : 0);
    this.#byHead.set(key, [...(this.#byHead.get(key) ?? []), pattern]);
    if (first >= ASCII) this.#wide.add(first);
    else if (head.length > 1) this.#pairs[first * ASCII + lowOf(head.charCodeAt(1))] = 1;
    else this.#pairs.fill(1, first * ASCII, (first + 1) * ASCII);
  }
}

/** Characters beyond ASCII, and the end of the text, share one cell. */
function lowOf(code: number): number {
  return code < ASCII ? code : 0;
}

/** One number for two or three characters; above every number of one character. */
function keyOf(first: number, second: number, third = 0): number {
  return ((third + 1) * 0x1_0000 + second) * 0x1_0000 + first;
}
