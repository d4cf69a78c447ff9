/** Reads single entries and leaf hashes of a data folder by index, and receipts by their place in a stream. */

import { isCodedError } from "../../kernel/errors.ts";
import { parseGenesis } from "../../kernel/genesis.ts";
import { HASH_BYTES, hashLeaf } from "../../kernel/merkle/hash.ts";
import { TILE_WIDTH } from "../../kernel/tile/coordinates.ts";
import { MAX_ENTRY_BYTES, parseEntryBundle } from "../../kernel/tile/entry-bundle.ts";
import { formatTilePath } from "../../kernel/tile/path.ts";
import { RecentMap } from "../tree/recent-map.ts";
import type { DataFolder } from "./data-folder.ts";
import type { Group } from "./log-walk.ts";
import type { ReadReceipts } from "./side-audit.ts";

const LENGTH_BYTES = 2;
const WIDTH = BigInt(TILE_WIDTH);
/** Bundles kept after a read. */
const CACHED = 16;

/** Index of the receipt of a stream at `seq`; undefined if there is none. */
export type FindReceipt = (stream: string, seq: number) => number | undefined;

/** Reader of one data folder, after the walk. */
export class EntryReader {
  /** Receipts of a stream from `firstSeq`; undefined if the log does not give one of them. */
  readonly receipts: ReadReceipts;
  readonly #folder: DataFolder;
  readonly #held: ReadonlyMap<bigint, Group>;
  readonly #recent = new RecentMap<bigint, readonly Uint8Array[]>(CACHED);

  /**
   * @param held  groups that no bundle holds
   * @param indexOf  where a receipt of a stream is
   */
  constructor(folder: DataFolder, held: readonly Group[], indexOf: FindReceipt) {
    this.#folder = folder;
    this.#held = new Map(held.map((group) => [group.index, group]));
    this.receipts = makeReadReceipts(indexOf, (index) => this.entry(index));
  }

  /** The entry at `index`, or undefined. */
  async entry(index: bigint): Promise<Uint8Array | undefined> {
    const [bundle, place] = [index / WIDTH, Number(index % WIDTH)];
    const held = this.#held.get(bundle);
    if (held !== undefined) return held.entries[place]?.bytes;
    return (await this.#bundle(bundle))[place];
  }

  /** Leaf hash of the entry at `index`, or undefined. */
  async leaf(index: bigint): Promise<Uint8Array | undefined> {
    const entry = await this.entry(index);
    if (entry !== undefined) return hashLeaf(entry);
    const [tile, place] = [index / WIDTH, Number(index % WIDTH) * HASH_BYTES];
    const bytes = await this.#folder.read(formatTilePath({ kind: "hash", level: 0, index: tile, width: TILE_WIDTH }));
    return bytes?.slice(place, place + HASH_BYTES);
  }

  async #bundle(index: bigint): Promise<readonly Uint8Array[]> {
    const known = this.#recent.get(index);
    if (known !== undefined) return known;
    const bytes = await this.#folder.read(formatTilePath({ kind: "entries", index, width: TILE_WIDTH }));
    const entries = bytes === undefined ? [] : parseOrNothing(bytes);
    this.#recent.set(index, entries);
    return entries;
  }
}

/** Reads receipts by their places. @param entryAt  the entry at an index, or undefined */
export function makeReadReceipts(
  indexOf: FindReceipt,
  entryAt: (index: bigint) => Promise<Uint8Array | undefined>,
): ReadReceipts {
  return async (stream, firstSeq, count) => {
    const found: Uint8Array[] = [];
    for (let seq = firstSeq; seq < firstSeq + count; seq += 1) {
      const index = indexOf(stream, seq);
      const entry = index === undefined ? undefined : await entryAt(BigInt(index));
      if (entry === undefined) return undefined;
      found.push(entry);
    }
    return found;
  };
}

/** The first entry of a bundle that may be damaged: by its length, or else up to where a JSON object can end. */
export function firstEntryOf(bundle: Uint8Array): Uint8Array | undefined {
  const [entry] = parseOrNothing(bundle);
  if (entry !== undefined) return entry;
  for (let at = bundle.indexOf(0x7d); at !== -1 && at <= MAX_ENTRY_BYTES + 1; at = bundle.indexOf(0x7d, at + 1)) {
    const candidate = bundle.subarray(LENGTH_BYTES, at + 1);
    if (isGenesis(candidate)) return candidate;
  }
  return undefined;
}

function isGenesis(bytes: Uint8Array): boolean {
  try {
    parseGenesis(bytes);
    return true;
  } catch (error) {
    if (isCodedError(error)) return false;
    throw error;
  }
}

/** The entries of a full bundle; none if it is damaged. */
export function parseOrNothing(bundle: Uint8Array): readonly Uint8Array[] {
  try {
    return parseEntryBundle(bundle, TILE_WIDTH);
  } catch (error) {
    if (isCodedError(error)) return [];
    throw error;
  }
}
