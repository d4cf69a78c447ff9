/** Which entry of the log has a leaf hash, for all entries but the newest: what can be made again from the tiles of the log. */

import type { LeafHash, NodeHash } from "../../kernel/merkle/hash.ts";
import type { FilterPart } from "../sequence/leaf-filter.ts";
import type { LeafRange } from "./leaf-table.ts";

/** The log that the leaves are of. */
export interface LeafSource {
  /** Number of its entries. */
  readonly size: number;
  /** Root of the tree over a range within its size. */
  readonly rootOf: (range: LeafRange) => Promise<NodeHash>;
  /** Leaf hashes of the full tile of level 0 with this number. @throws {StoreError} ERR_TILE_MISSING */
  readonly readTile: (index: number) => Promise<Uint8Array>;
}

/** A run of leaves. */
export interface LeafRun {
  /** A multiple of `runEntries`. */
  readonly first: number;
  /** `runEntries` hashes, one behind the other, in memory that threads share; nothing changes them. */
  readonly leaves: Uint8Array;
}

/** Persistence of the leaves, in runs of `runEntries`. */
export interface LeafStore {
  /** Leaves of a run: a power of two, at least 256. */
  readonly runEntries: number;
  /** Number of leaves that it has: a multiple of `runEntries`. */
  readonly size: number;
  /**
   * Keeps of what it has what is of this log, and takes every whole run of it that it lacks from the tiles; called once, first.
   *
   * @throws {StoreError} ERR_TILE_MISSING, ERR_TILE_DAMAGE: the tiles are not what the tree says
   */
  readonly bind: (source: LeafSource) => Promise<void>;
  /** Index of each leaf's first entry, in order; undefined where it has none. */
  readonly find: (leaves: readonly LeafHash[]) => Promise<readonly (number | undefined)[]>;
  /** A filter of what it has, all of it; rejects if it cannot be read. */
  readonly filter: () => Promise<FilterPart>;
  /** Takes the next run, of which the source has every leaf. Resolves once it is found here. */
  readonly add: (run: LeafRun) => Promise<void>;
  readonly close: () => Promise<void>;
}
