/**
 * The values that one session was given, as keyed hashes, and the search for them in later arguments (mcp-gateway §18).
 * The key is made for the session and lives in memory only: what is remembered cannot be read, nor compared with another
 * session's.
 */

import { sha256Into } from "#crypto";
import { HashInput } from "../../kernel/hash-input.ts";
import type { MatchKind } from "../../kernel/receipt/vocabulary.ts";
import { OldestFirst } from "../oldest-first.ts";
import { decodings } from "./decodings.ts";
import type { Leaf } from "./leaves.ts";
import { type TextValues, valuesOfText } from "./normalise.ts";

/** Most values that are kept of one result and of one session; beyond it the oldest go. */
export const MAX_RESULT_VALUES = 4096;
export const MAX_SESSION_VALUES = 65_536;
/**
 * Most characters of the texts of one message in which tokens and runs are looked for: prose has more values than are kept in
 * a thirtieth of them.
 */
export const MAX_SEARCHED_CHARACTERS: number = 1 << 20;
/** So many runs of five words must be shared before two texts count as one. */
const SHARED_RUNS = 3;

/** A value of an argument that equals one of an earlier result. */
export interface Match {
  /** Sequence number of the outcome receipt that gave the value. */
  readonly source: number;
  readonly path: readonly string[];
  readonly kind: MatchKind;
}

/** The texts of a result whose values are to be kept. */
interface Owed {
  readonly texts: readonly string[];
  readonly source: number;
}

/** The values of a result, ready to be kept. */
export interface RememberedValues {
  readonly hashes: ReadonlySet<string>;
  /** True if the result held more values than are kept. */
  readonly bounded: boolean;
}

/** What of arguments is compared, hashed once; one in which nothing is worth comparing has none. */
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
  /** Bytes that the key takes in front of a value. */
  #prefix = 0;
  /** Outcome that gave a value last, by hash. */
  readonly #given = new OldestFirst<string, number>(MAX_SESSION_VALUES);
  /** What the agent itself said before it was given it. */
  readonly #said = new Set<string>();
  #bounded = false;
  /** What was given and is not hashed yet, in its order. */
  #owed: Owed[] = [];

  /** @param key  32 random bytes of this session */
  constructor(key: Uint8Array) {
    this.#key = key;
  }

  /** True once values were let go, so that a match may be missed. */
  get bounded(): boolean {
    this.#keepOwed();
    return this.#bounded;
  }

  /**
   * Keeps what an outcome gives; whoever asks next finds it. It is hashed behind this turn of the event loop, since neither the
   * receipt nor the agent waits for that.
   *
   * @param texts  as `valuesGiven` lists them
   */
  keepTexts(texts: readonly string[], source: number): void {
    if (texts.length === 0) return;
    if (this.#owed.length === 0) setImmediate(() => this.#keepOwed());
    this.#owed.push({ texts, source });
  }

  #keepOwed(): void {
    if (this.#owed.length === 0) return;
    const owed = this.#owed;
    this.#owed = [];
    for (const one of owed) this.#keepOne(one);
  }

  /** Whoever gave it is answered, and nobody else's call or turn may end by it: what is not kept may be missed, as receipts say. */
  #keepOne({ texts, source }: Owed): void {
    try {
      this.keep(this.hashValues(texts), source);
    } catch {
      input.wipe();
      this.#bounded = true;
    }
  }

  /**
   * Hashes the values of a result.
   *
   * @param texts  as `valuesGiven` lists them
   */
  hashValues(texts: readonly string[]): RememberedValues {
    const hashes = new Set<string>();
    const looked = new SearchedCharacters();
    this.#putKey();
    const isWhole = texts.every((text) => this.#addHashes(looked.valuesOf(text), hashes));
    input.wipe();
    return { hashes, bounded: !isWhole || looked.isCut };
  }

  /** False once there are more than are kept. */
  #addHashes({ whole, tokens, runs }: TextValues, hashes: Set<string>): boolean {
    if (whole !== undefined && !this.#add(hashes, "value", whole)) return false;
    for (const token of tokens) {
      const isKept = token === whole ? hashes.size < MAX_RESULT_VALUES : this.#add(hashes, "value", token);
      if (!isKept) return false;
    }
    for (const run of runs) if (!this.#add(hashes, "run", run)) return false;
    return true;
  }

  #add(hashes: Set<string>, kind: "value" | "run", text: string): boolean {
    if (hashes.size >= MAX_RESULT_VALUES) return false;
    hashes.add(this.#keyed(kind, text));
    return true;
  }

  /** Keeps what an outcome gave. */
  keep({ hashes, bounded }: RememberedValues, source: number): void {
    this.#bounded ||= bounded;
    for (const hash of hashes) if (!this.#said.has(hash)) this.#given.set(hash, source);
    if (this.#given.trim() > 0) this.#bounded = true;
  }

  /** Hashes arguments for a search, as many as a result's values; what comes after is not searched. */
  prepare(leaves: readonly Leaf[]): readonly SearchedLeaf[] {
    const searched: SearchedLeaf[] = [];
    const looked = new SearchedCharacters();
    let left = MAX_RESULT_VALUES;
    this.#putKey();
    for (const { path, text } of leaves) {
      const leaf = this.#searchedLeaf(path, text, looked.valuesOf(text), left);
      if (leaf === undefined) continue;
      left -= (leaf.exact === undefined ? 0 : 1) + leaf.tokens.length + leaf.decoded.length + leaf.runs.length;
      searched.push(leaf);
    }
    input.wipe();
    this.#bounded ||= looked.isCut;
    return searched;
  }

  /** Undefined if there is nothing to look for. @param most  values that may still be hashed */
  #searchedLeaf(path: readonly string[], text: string, values: TextValues, most: number): SearchedLeaf | undefined {
    const { whole, tokens, runs } = values;
    const decoded = decodedValues(text);
    if (whole === undefined && tokens.length + decoded.length + runs.length === 0) return undefined;
    const [exact] = whole === undefined ? NONE : this.#take("value", [whole], most);
    let left = exact === undefined ? most : most - 1;
    const hashes = this.#take("value", tokens, left);
    left -= hashes.length;
    const hidden = this.#take("value", decoded, left);
    left -= hidden.length;
    return { path, exact, tokens: hashes, decoded: hidden, runs: this.#take("run", runs, left) };
  }

  /** The hashes of texts, of as many as may be hashed. */
  #take(kind: "value" | "run", texts: readonly string[], most: number): readonly string[] {
    if (texts.length === 0) return NONE;
    const hashes: string[] = [];
    for (const text of texts) {
      if (hashes.length >= most) {
        this.#bounded = true;
        break;
      }
      hashes.push(this.#keyed(kind, text));
    }
    return hashes;
  }

  /** The strongest match of each leaf with each source, and then remembers that the agent has said these values. */
  search(leaves: readonly SearchedLeaf[]): readonly Match[] {
    this.#keepOwed();
    const matches: Match[] = [];
    for (const leaf of leaves) this.#addMatches(leaf, matches);
    for (const { exact, tokens, decoded } of leaves) {
      if (exact !== undefined) this.#say(exact);
      for (const hash of tokens) this.#say(hash);
      for (const hash of decoded) this.#say(hash);
    }
    return matches;
  }

  #say(hash: string): void {
    if (this.#given.has(hash)) return;
    if (this.#said.size < MAX_SESSION_VALUES) this.#said.add(hash);
    else this.#bounded = true;
  }

  #addMatches({ path, exact, tokens, decoded, runs }: SearchedLeaf, matches: Match[]): void {
    let found: Found;
    if (exact !== undefined) found = noted(found, this.#given.get(exact), "exact");
    for (const token of tokens) found = noted(found, this.#given.get(token), "token");
    for (const value of decoded) found = noted(found, this.#given.get(value), "encoded");
    for (const [source, shared] of this.#sharedRuns(runs)) {
      if (shared >= SHARED_RUNS) found = noted(found, source, "fragment");
    }
    if (found !== undefined) for (const [source, kind] of found) matches.push({ source, path, kind });
  }

  #sharedRuns(runs: readonly string[]): ReadonlyMap<number, number> {
    if (runs.length < SHARED_RUNS) return NOT_SHARED;
    let counts: Map<number, number> | undefined;
    for (const run of runs) {
      const source = this.#given.get(run);
      if (source === undefined) continue;
      counts ??= new Map<number, number>();
      counts.set(source, (counts.get(source) ?? 0) + 1);
    }
    return counts ?? NOT_SHARED;
  }

  /** The key in front of what is hashed next; it is written once for all values of a message, and wiped behind the last. */
  #putKey(): void {
    input.length = 0;
    input.putBytes(this.#key);
    this.#prefix = input.length;
  }

  /** What is made of key and text stays in memory, so nobody can extend it. */
  #keyed(kind: "value" | "run", text: string): string {
    input.length = this.#prefix;
    input.putText(kind);
    input.putText(text);
    sha256Into(input.view(), hashed, 0);
    return firstHalf();
  }
}

/** The values of one message's texts, in as many of their characters as are looked at. */
class SearchedCharacters {
  #left = MAX_SEARCHED_CHARACTERS;
  /** True once a text was not looked at to its end. */
  isCut = false;

  valuesOf(text: string): TextValues {
    const values = valuesOfText(text, this.#left);
    this.#left = Math.max(0, this.#left - text.length);
    this.isCut ||= values.isCut;
    return values;
  }
}

/** The strongest kind of match by source. Most arguments have none, and then nothing is made. */
type Found = Map<number, MatchKind> | undefined;

const NONE: readonly string[] = [];
const NOT_SHARED: ReadonlyMap<number, number> = new Map();

function noted(found: Found, source: number | undefined, kind: MatchKind): Found {
  if (source === undefined || found?.has(source) === true) return found;
  return (found ?? new Map<number, MatchKind>()).set(source, kind);
}

/** What a text hides, each value once. */
function decodedValues(text: string): readonly string[] {
  const found = decodings(text);
  if (found.length === 0) return NONE;
  const values = new Set<string>();
  for (const decoded of found) {
    const { whole, tokens } = valuesOfText(decoded);
    if (whole !== undefined) values.add(whole);
    for (const token of tokens) values.add(token);
  }
  return [...values];
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
