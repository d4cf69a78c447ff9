/**
 * Finds the matches of many patterns in one walk over a text: at each place that begins like a pattern, that pattern is tried there
 * and nowhere else. Cost: one table look-up for each character, and the bounded work of a pattern where its first letters stand.
 */

import { invariant } from "../../kernel/errors.ts";
import { headsOf } from "./pattern-heads.ts";

/** A match: which pattern, and where it starts and ends. */
export interface Match {
  readonly pattern: number;
  readonly start: number;
  readonly end: number;
}

const ASCII = 128;
/** A row of the table of pairs: each second character of ASCII, then all others and the end of the text. */
const ROW = ASCII + 1;
const PAIRS = ASCII * ROW;
const UNITS = 0x1_0000;
/** Beginnings of this length and above count alike in the order of patterns that match at one place. */
const ORDERED = 3;
const NO_MATCHES: readonly Match[] = [];
/** So many first characters of a beginning are hashed, to a bit of 4 KiB: of some hundreds of beginnings a place meets few by chance. */
const START_LENGTH = 4;
const START_BITS = 32_768;
/** The hash's upper ten bits name a word, the five below them a bit of it. */
const START_WORD = 22;

/** What was read of beginnings. */
interface Node {
  readonly depth: number;
  readonly parent: number;
  /** Patterns that begin so or shorter, those with the shortest beginning first. */
  patterns: readonly { readonly pattern: number; readonly length: number }[];
}

/** Patterns, indexed by how they begin. */
export class WordSearch {
  readonly #sticky: readonly RegExp[];
  /** Node 0 is where nothing was read. */
  readonly #nodes: Node[] = [{ depth: 0, parent: 0, patterns: [] }];
  /** The next node, by node and code unit; and for each node, as bits of `bitOf`, what can come next. */
  readonly #next = new Map<number, number>();
  readonly #nextBits: Uint32Array;
  /** The node of a pair of which the first is of ASCII. */
  readonly #pairs = new Uint16Array(PAIRS);
  /** For each first character, as bits, the second ones: a row for places behind a letter or digit, and one for others. */
  readonly #seconds = new Uint32Array(2 * ROW);
  /**
   * A bit for each beginning, by the hash of its first characters. Most places that begin with a pair of a pattern end here, in
   * memory that stays in the cache: the nodes are so many that each look at one is a look into main memory.
   */
  readonly #starts = new Uint32Array(START_BITS / 32);

  constructor(patterns: readonly RegExp[]) {
    this.#sticky = patterns.map(({ source }) => new RegExp(source, "uy"));
    const heads = patterns.map(({ source }) => headsOf(source));
    heads.forEach((all, pattern) => {
      invariant(all !== undefined, `this pattern can begin with anything: ${patterns[pattern]?.source}`);
      for (const head of all) this.#add(head, pattern);
    });
    for (const node of this.#nodes) inherit(node, this.#nodes[node.parent] ?? node);
    this.#nextBits = new Uint32Array(this.#nodes.length);
    for (const edge of this.#next.keys()) {
      addBit(this.#nextBits, Math.floor(edge / UNITS), edge % UNITS);
    }
    heads.forEach((all = [], pattern) => {
      const isBounded = patterns[pattern]?.source.startsWith("\\b") === true;
      for (const head of all) this.#mark(head, isBounded && isInWord(head.charCodeAt(0)));
    });
  }

  /** The matches, in the order of the text; those of one pattern may overlap. */
  find(text: string): readonly Match[] {
    // Small, so that it stays in the processor's cache: what most places are passed over by.
    const seconds = this.#seconds;
    let found: Match[] | undefined;
    let row = 0;
    let first = text.charCodeAt(0);
    for (let at = 0; at < text.length; at += 1) {
      const second = at + 1 < text.length ? text.charCodeAt(at + 1) : ASCII;
      const isPair = ((seconds[row + Math.min(first, ASCII)] ?? 0) & bitOf(second)) !== 0;
      if (isPair && this.#mayBegin(text, at)) found = this.#tryAt(text, at, found);
      row = isInWord(first) ? ROW : 0;
      first = second;
    }
    return found ?? NO_MATCHES;
  }

  /** False only if no beginning stands there. */
  #mayBegin(text: string, at: number): boolean {
    const end = Math.min(at + START_LENGTH, text.length);
    let hash = 0;
    for (let i = at; i < end; i += 1) {
      hash = hashOf(hash, text.charCodeAt(i));
      if (((this.#starts[hash >>> START_WORD] ?? 0) & startBit(hash)) !== 0) return true;
    }
    return false;
  }

  #tryAt(text: string, at: number, found: Match[] | undefined): Match[] | undefined {
    const patterns = this.#nodes[this.#deepest(text, at)]?.patterns;
    if (patterns === undefined || patterns.length === 0) return found;
    let all = found;
    for (const { pattern } of patterns) {
      const regex = this.#sticky[pattern];
      if (regex === undefined) continue;
      regex.lastIndex = at;
      if (!regex.test(text)) continue;
      all ??= [];
      all.push({ pattern, start: at, end: regex.lastIndex });
    }
    return all;
  }

  /** The node of the longest beginning that stands there. */
  #deepest(text: string, start: number): number {
    let node = this.#pairAt(text, start);
    for (let at = start + (this.#nodes[node]?.depth ?? 0); at < text.length; at += 1) {
      const code = text.charCodeAt(at);
      // Most walks end here, without a search in the map.
      if (((this.#nextBits[node] ?? 0) & bitOf(code)) === 0) break;
      const next = this.#next.get(node * UNITS + code);
      if (next === undefined) break;
      node = next;
    }
    return node;
  }

  /** The node of two characters, or of the first alone. */
  #pairAt(text: string, at: number): number {
    const first = text.charCodeAt(at);
    if (first >= ASCII) return this.#next.get(first) ?? 0;
    const second = at + 1 < text.length ? text.charCodeAt(at + 1) : ASCII;
    return this.#pairs[first * ROW + Math.min(second, ASCII)] ?? 0;
  }

  #add(head: string, pattern: number): void {
    let node = 0;
    for (let at = 0; at < head.length; at += 1) {
      const edge = node * UNITS + head.charCodeAt(at);
      const next = this.#next.get(edge) ?? this.#nodes.push({ depth: at + 1, parent: node, patterns: [] }) - 1;
      this.#next.set(edge, next);
      node = next;
    }
    invariant(node < UNITS, "too many beginnings of patterns");
    const end = this.#nodes[node];
    if (end !== undefined) end.patterns = [...end.patterns, { pattern, length: Math.min(head.length, ORDERED) }];
  }

  /** @param isBounded  true for a pattern that matches at the begin of a word alone */
  #mark(head: string, isBounded: boolean): void {
    let hash = 0;
    for (let at = 0; at < Math.min(START_LENGTH, head.length); at += 1) hash = hashOf(hash, head.charCodeAt(at));
    this.#starts[hash >>> START_WORD] = (this.#starts[hash >>> START_WORD] ?? 0) | startBit(hash);
    const first = head.charCodeAt(0);
    const single = this.#next.get(first) ?? 0;
    // Behind a head of one character anything may stand.
    const seconds = head.length > 1 ? [Math.min(head.charCodeAt(1), ASCII)] : Array.from({ length: ROW }).keys();
    for (const second of seconds) {
      const pair = second < ASCII ? this.#next.get(single * UNITS + second) : undefined;
      if (first < ASCII) this.#pairs[first * ROW + second] = pair ?? single;
      addBit(this.#seconds, Math.min(first, ASCII), second);
      if (!isBounded) addBit(this.#seconds, ROW + Math.min(first, ASCII), second);
    }
  }
}

/** The hash of characters and one more. */
function hashOf(hash: number, code: number): number {
  return Math.imul(hash ^ code, 0x9e37_79b1);
}

function startBit(hash: number): number {
  return 1 << ((hash >>> (START_WORD - 5)) & 31);
}

function addBit(bits: Uint32Array, at: number, code: number): void {
  bits[at] = (bits[at] ?? 0) | bitOf(code);
}

/** What begins shorter may match too. Nodes come after their parents. */
function inherit(node: Node, { patterns: shorter }: Node): void {
  if (node.patterns.length === 0) {
    node.patterns = shorter;
    return;
  }
  const known = new Set<number>();
  node.patterns = [...shorter, ...node.patterns]
    .sort((a, b) => a.length - b.length || a.pattern - b.pattern)
    .filter(({ pattern }) => !known.has(pattern) && known.add(pattern));
}

/** As `\b` has it. */
function isInWord(code: number): boolean {
  return IN_WORD[Math.min(code, ASCII)] === 1;
}

const IN_WORD: Uint8Array = Uint8Array.from({ length: ROW }, (_, code) =>
  /\w/u.test(String.fromCharCode(code)) ? 1 : 0,
);

/** One bit for each small letter, and some for what else there is. */
function bitOf(code: number): number {
  return BITS[Math.min(code, ASCII)] ?? 0;
}

const BITS: Uint32Array = Uint32Array.from({ length: ROW }, (_, code) => {
  if (code >= 0x61 && code <= 0x7a) return 1 << (code - 0x61);
  const character = String.fromCharCode(code);
  const kinds = [/[ \n]/u, /\d/u, /[_'"`-]/u];
  return 1 << (26 + (kinds.findIndex((kind) => kind.test(character)) + 1));
});
