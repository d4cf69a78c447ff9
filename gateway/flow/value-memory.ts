/**
 * The values that one session was given, as keyed hashes, and the search for them in later arguments (mcp-gateway §18).
 * The key is made for the session and lives in memory only: what is remembered cannot be read, nor compared with another
 * session's.
 */

import { sha256Into } from "#crypto";
import { HashInput } from "../../kernel/hash-input.ts";
import type { MatchKind } from "../../kernel/receipt/vocabulary.ts";
import { decodings } from "./decodings.ts";
import type { Leaf } from "./leaves.ts";
import { isTelling, normalise, tellingTokens, wordRuns } from "./normalise.ts";

/** Most values that are kept of one result and of one session; beyond it the oldest go. */
export const MAX_RESULT_VALUES = 4096;
export const MAX_SESSION_VALUES = 65_536;
/** So many runs of five words must be shared before two texts count as one. */
const SHARED_RUNS = 3;

/** A value of an argument that equals one of an earlier result. */
export interface Match {
  /** Sequence number of the outcome receipt that gave the value. */
  readonly source: number;
  readonly path: readonly string[];
  readonly kind: MatchKind;
}

/** The values of a result, ready to be kept. */
export interface RememberedValues {
  readonly hashes: readonly string[];
  /** True if the result held more values than are kept. */
  readonly bounded: boolean;
}

/** What arguments are compared by, hashed once. */
export interface SearchedLeaf {
  readonly path: readonly string[];
  /** The hashes to look for, by the kind that a hit is, strongest first; runs count only together. */
  readonly exact: string | undefined;
  readonly tokens: readonly string[];
  readonly decoded: readonly string[];
  readonly runs: readonly string[];
}

/** The memory of one session. */
export class ValueMemory {
  readonly #key: Uint8Array;
  /** Outcome that gave a value last, by hash, oldest first. */
  readonly #given = new Map<string, number>();
  /** What the agent itself said before it was given it. */
  readonly #said = new Set<string>();
  #bounded = false;

  /** @param key  32 random bytes of this session */
  constructor(key: Uint8Array) {
    this.#key = key;
  }

  /** True once values were let go, so that a match may be missed. */
  get bounded(): boolean {
    return this.#bounded;
  }

  /**
   * Hashes the values of a result.
   *
   * @param texts  as `valuesGiven` lists them
   */
  hashValues(texts: readonly string[]): RememberedValues {
    const hashes = new Set<string>();
    for (const text of texts) {
      if (!this.#addHashes(text, hashes)) return { hashes: [...hashes], bounded: true };
    }
    return { hashes: [...hashes], bounded: false };
  }

  /** False once there are more than are kept. */
  #addHashes(text: string, hashes: Set<string>): boolean {
    const whole = normalise(text);
    const values = isTelling(whole) ? [whole, ...tellingTokens(text)] : tellingTokens(text);
    for (const value of values) {
      if (hashes.size >= MAX_RESULT_VALUES) return false;
      hashes.add(this.#hash(value));
    }
    for (const run of wordRuns(text)) {
      if (hashes.size >= MAX_RESULT_VALUES) return false;
      hashes.add(this.#hashRun(run));
    }
    return true;
  }

  /** Keeps what an outcome gave. */
  keep({ hashes, bounded }: RememberedValues, source: number): void {
    this.#bounded ||= bounded;
    for (const hash of hashes) {
      if (this.#said.has(hash)) continue;
      this.#given.delete(hash);
      this.#given.set(hash, source);
    }
    for (const hash of this.#given.keys()) {
      if (this.#given.size <= MAX_SESSION_VALUES) break;
      this.#given.delete(hash);
      this.#bounded = true;
    }
  }

  /** Hashes arguments for a search, as many as a result's values; what comes after is not searched. */
  prepare(leaves: readonly Leaf[]): readonly SearchedLeaf[] {
    let left = MAX_RESULT_VALUES;
    const take = <T>(values: readonly T[]): readonly T[] => {
      const taken = values.slice(0, left);
      left -= taken.length;
      this.#bounded ||= taken.length < values.length;
      return taken;
    };
    return leaves.map(({ path, text }) => {
      const whole = normalise(text);
      const decoded = decodings(text).flatMap((found) => [normalise(found), ...tellingTokens(found)]);
      const [exact] = take(isTelling(whole) ? [whole] : []).map((value) => this.#hash(value));
      return {
        path,
        exact,
        tokens: take(tellingTokens(text)).map((token) => this.#hash(token)),
        decoded: take([...new Set(decoded)].filter(isTelling)).map((value) => this.#hash(value)),
        runs: take(wordRuns(text)).map((run) => this.#hashRun(run)),
      };
    });
  }

  /** The strongest match of each leaf with each source, and then remembers that the agent has said these values. */
  search(leaves: readonly SearchedLeaf[]): readonly Match[] {
    const matches = leaves.flatMap((leaf) => this.#matchesOf(leaf));
    for (const { exact, tokens, decoded } of leaves) {
      for (const hash of [...(exact === undefined ? [] : [exact]), ...tokens, ...decoded]) this.#say(hash);
    }
    return matches;
  }

  #say(hash: string): void {
    if (this.#given.has(hash)) return;
    if (this.#said.size < MAX_SESSION_VALUES) this.#said.add(hash);
    else this.#bounded = true;
  }

  #matchesOf({ path, exact, tokens, decoded, runs }: SearchedLeaf): readonly Match[] {
    const found = new Map<number, MatchKind>();
    const note = (hash: string, kind: MatchKind): void => {
      const source = this.#given.get(hash);
      if (source !== undefined && !found.has(source)) found.set(source, kind);
    };
    if (exact !== undefined) note(exact, "exact");
    for (const token of tokens) note(token, "token");
    for (const value of decoded) note(value, "encoded");
    for (const [source, shared] of this.#sharedRuns(runs)) {
      if (shared >= SHARED_RUNS && !found.has(source)) found.set(source, "fragment");
    }
    return [...found].map(([source, kind]) => ({ source, path, kind }));
  }

  #sharedRuns(runs: readonly string[]): ReadonlyMap<number, number> {
    const counts = new Map<number, number>();
    for (const run of runs) {
      const source = this.#given.get(run);
      if (source !== undefined) counts.set(source, (counts.get(source) ?? 0) + 1);
    }
    return counts;
  }

  #hash(value: string): string {
    return this.#keyed("value", value);
  }

  #hashRun(run: string): string {
    return this.#keyed("run", run);
  }

  #keyed(kind: "value" | "run", text: string): string {
    // The key in front of the text: what is made of it stays in memory, so nobody can extend it.
    input.length = 0;
    input.putBytes(this.#key);
    input.putText(kind);
    input.putText(text);
    sha256Into(input.view(), hashed, 0);
    input.wipe();
    return firstHalf();
  }
}

const input = new HashInput(1024);
const hashed = new Uint8Array(32);

/** 16 bytes as eight code units: a text that is compared, and never written anywhere. */
function firstHalf(): string {
  const [a, b, c, d] = [unitAt(0), unitAt(2), unitAt(4), unitAt(6)];
  return String.fromCharCode(a, b, c, d, unitAt(8), unitAt(10), unitAt(12), unitAt(14));
}

function unitAt(at: number): number {
  return ((hashed[at] ?? 0) << 8) | (hashed[at + 1] ?? 0);
}
