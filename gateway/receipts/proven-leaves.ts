/**
 * Leaves of a witnessed tree, from its public tiles. A leaf's inclusion proof is made of the other leaves of its tile and of
 * what lies outside; if it leads to the root, all of the tile was the log's, so each further leaf of that tile is a comparison.
 */

import { equalBytes } from "../../kernel/bytes.ts";
import type { Checkpoint } from "../../kernel/checkpoint/checkpoint.ts";
import { CheckError } from "../../kernel/errors.ts";
import { HASH_BYTES, type LeafHash } from "../../kernel/merkle/hash.ts";
import { checkInclusion } from "../../kernel/merkle/inclusion-proof.ts";
import { type HashReader, proveInclusion } from "../../kernel/merkle/prove.ts";
import { TILE_WIDTH, tileWidth } from "../../kernel/tile/coordinates.ts";
import { formatTilePath, type TileRef } from "../../kernel/tile/path.ts";
import { makeTileHashReader, type ReadTile } from "../../kernel/tile/tile-reader.ts";

/** Asks whether leaves are in one tree. */
export class ProvenLeaves {
  readonly #checkpoint: Checkpoint;
  readonly #tiles = new Map<string, Promise<Uint8Array>>();
  readonly #readTile: ReadTile;
  readonly #reader: HashReader;
  /** Tiles of leaves that a proof has led through, by index. */
  readonly #proven = new Map<bigint, Uint8Array>();

  /** @param readTile  of the log; each tile is read once */
  constructor(checkpoint: Checkpoint, readTile: ReadTile) {
    this.#checkpoint = checkpoint;
    this.#readTile = (ref) => {
      const path = formatTilePath(ref);
      const tile = this.#tiles.get(path) ?? readTile(ref);
      this.#tiles.set(path, tile);
      return tile;
    };
    this.#reader = makeTileHashReader(checkpoint.size, this.#readTile);
  }

  /**
   * True if the tree has this leaf at this index.
   *
   * @throws {FormatError} ERR_TILE_LENGTH; what `readTile` throws
   */
  async has(leaf: LeafHash, index: bigint): Promise<boolean> {
    if (index >= this.#checkpoint.size) return false;
    const known = this.#proven.get(index / BigInt(TILE_WIDTH));
    if (known !== undefined) return equalBytes(leafAt(known, index), leaf);
    if (!(await this.#isIncluded(leaf, index))) return false;
    const number = index / BigInt(TILE_WIDTH);
    const tile = await this.#readTile(this.#leafTile(number));
    // The proof is of the other leaves: what stands in this one's own place is compared by itself.
    if (equalBytes(leafAt(tile, index), leaf)) this.#proven.set(number, tile);
    return true;
  }

  #leafTile(index: bigint): TileRef {
    return { kind: "hash", level: 0, index, width: tileWidth({ level: 0, index }, this.#checkpoint.size) };
  }

  async #isIncluded(leaf: LeafHash, index: bigint): Promise<boolean> {
    const { size, root } = this.#checkpoint;
    const proof = await proveInclusion(index, size, this.#reader);
    try {
      checkInclusion({ leaf, index, size, root, proof });
      return true;
    } catch (error) {
      if (error instanceof CheckError) return false;
      throw error;
    }
  }
}

/** The leaf of a tile; `index` is below the tree's size, so within what the proof has covered. */
function leafAt(tile: Uint8Array, index: bigint): Uint8Array {
  const at = Number(index % BigInt(TILE_WIDTH)) * HASH_BYTES;
  return tile.subarray(at, at + HASH_BYTES);
}
