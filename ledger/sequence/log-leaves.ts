/**
 * The leaf hashes of a log at a start, as a part of the leaf filter: read from the full hash tiles of level 0, and used only if
 * they give the root of the tree. So no damaged, missing or foreign file can make the filter deny a leaf that the log has.
 */

import { equalBytes } from "../../kernel/bytes.ts";
import { CompactRange } from "../../kernel/merkle/compact-range.ts";
import { HASH_BYTES, parseLeafHash, type RootHash } from "../../kernel/merkle/hash.ts";
import { TILE_WIDTH } from "../../kernel/tile/coordinates.ts";
import { addToPart, type FilterPart, makePart } from "./leaf-filter.ts";

/** The leaves of the first full tiles of a log. */
export interface FullTileLeaves {
  /** Number of full tiles at level 0. */
  readonly tiles: number;
  /** Root of the tree of their leaves. */
  readonly root: RootHash;
}

/** Makes the part; undefined if the tiles do not give the root, or once `signal` is aborted. */
export type LeavesReader = (leaves: FullTileLeaves, signal: AbortSignal) => Promise<FilterPart | undefined>;

/** Takes tile after tile of level 0. */
export class PartFiller {
  readonly #leaves: FullTileLeaves;
  readonly #part: FilterPart;
  readonly #range = CompactRange.empty();

  constructor(leaves: FullTileLeaves) {
    this.#leaves = leaves;
    this.#part = makePart(leaves.tiles * TILE_WIDTH);
  }

  /** Takes the next tile. */
  take(tile: Uint8Array): void {
    for (let at = 0; at < tile.length; at += HASH_BYTES) {
      const leaf = parseLeafHash(tile.slice(at, at + HASH_BYTES));
      addToPart(this.#part, leaf);
      this.#range.append(leaf);
    }
  }

  /** What was filled; undefined if these were not the leaves of the log. */
  end(): FilterPart | undefined {
    const { tiles, root } = this.#leaves;
    if (this.#range.size !== BigInt(tiles * TILE_WIDTH)) return undefined;
    return equalBytes(this.#range.root(), root) ? this.#part : undefined;
  }
}

/** Reads on the calling thread, which others get between two tiles. */
export function readInPlace(readTile: (index: number) => Promise<Uint8Array | undefined>): LeavesReader {
  return async (leaves, signal) => {
    const filler = new PartFiller(leaves);
    for (let index = 0; index < leaves.tiles; index += 1) {
      const tile = await readTile(index);
      if (tile === undefined || signal.aborted) return undefined;
      filler.take(tile);
      await new Promise((resolve) => setImmediate(resolve));
    }
    return filler.end();
  };
}
