/**
 * Hash tiles of a tree whose root is known, each verified before it is handed out: the partial tiles of the right edge
 * together give the root, and the hash of every full tile stands in the tile above it.
 */

import { equalBytes } from "../../kernel/bytes.ts";
import { CheckError, FormatError, invariant } from "../../kernel/errors.ts";
import {
  asNodeHash,
  HASH_BYTES,
  type LeafHash,
  type NodeHash,
  parseNodeHash,
  type RootHash,
} from "../../kernel/merkle/hash.ts";
import type { HashReader } from "../../kernel/merkle/prove.ts";
import { rootOfTile, TILE_WIDTH, tileWidth } from "../../kernel/tile/coordinates.ts";
import { formatTilePath, type TileRef } from "../../kernel/tile/path.ts";
import { makeTileHashReader } from "../../kernel/tile/tile-reader.ts";
import { RecentMap } from "../tree/recent-map.ts";
import { rootOfRows } from "../tree/row-root.ts";

/** Gets a tile from wherever it is; undefined if it is nowhere. A partial one may be answered by nothing, not by more. */
export type FindTile = (ref: TileRef) => Promise<Uint8Array | undefined>;

/** Tiles kept: 8 MiB. */
const CACHED_TILES = 1024;
const LEVEL_BITS = 8;

/** A tree of known size and root. */
export class VerifiedTiles {
  readonly #size: bigint;
  readonly #find: FindTile;
  readonly #edge: readonly (Uint8Array | undefined)[];
  readonly #cache = new RecentMap<string, Promise<Uint8Array>>(CACHED_TILES);

  private constructor(size: bigint, find: FindTile, edge: readonly (Uint8Array | undefined)[]) {
    this.#size = size;
    this.#find = find;
    this.#edge = edge;
  }

  /**
   * Reads the right edge and checks that it gives the root.
   *
   * @throws {CheckError} ERR_ROOT_MISMATCH; {FormatError} ERR_TILE_LENGTH; {CheckError} ERR_TILE_MISSING
   */
  static async open(head: { readonly size: bigint; readonly root: RootHash }, find: FindTile): Promise<VerifiedTiles> {
    const edge: (Uint8Array | undefined)[] = [];
    for (let level = 0; head.size >> BigInt(LEVEL_BITS * level) > 0n; level += 1) {
      const index = head.size >> BigInt(LEVEL_BITS * (level + 1));
      const width = tileWidth({ level, index }, head.size);
      edge[level] = width === 0 ? undefined : await findTile(find, { kind: "hash", level, index, width });
    }
    const rows = edge.map((tile, level) => ({
      index: head.size >> BigInt(LEVEL_BITS * (level + 1)),
      hashes: tile === undefined ? [] : hashesOf(tile),
    }));
    const root = rootOfRows(head.size, rows);
    if (root === undefined || !equalBytes(root, head.root)) {
      throw new CheckError("ERR_ROOT_MISMATCH", `the tiles give another root of the tree of ${head.size} leaves`);
    }
    return new VerifiedTiles(head.size, find, edge);
  }

  /** The same tree, its full tiles from elsewhere. */
  from(find: FindTile): VerifiedTiles {
    return new VerifiedTiles(this.#size, find, this.#edge);
  }

  /** Partial tiles of the right edge, from level 0. */
  edgeTiles(): readonly { readonly ref: TileRef; readonly bytes: Uint8Array }[] {
    return this.#edge.flatMap((bytes, level) => {
      if (bytes === undefined) return [];
      const index = this.#size >> BigInt(LEVEL_BITS * (level + 1));
      return [{ ref: { kind: "hash", level, index, width: bytes.length / HASH_BYTES }, bytes }];
    });
  }

  /**
   * Hashes of a tile that the tree has, full or partial.
   *
   * @throws {CheckError} ERR_ROOT_MISMATCH if the tile found is not the tree's; ERR_TILE_MISSING
   */
  tile(level: number, index: bigint): Promise<Uint8Array> {
    const width = tileWidth({ level, index }, this.#size);
    invariant(width > 0, "VerifiedTiles: a tile outside the tree was asked for");
    const edge = width === TILE_WIDTH ? undefined : this.#edge[level];
    if (edge !== undefined) return Promise.resolve(edge);
    const key = `${level}/${index}`;
    const known = this.#cache.get(key);
    if (known !== undefined) return known;
    const reading = this.#readFull(level, index);
    this.#cache.set(key, reading);
    return reading;
  }

  async #readFull(level: number, index: bigint): Promise<Uint8Array> {
    const ref: TileRef = { kind: "hash", level, index, width: TILE_WIDTH };
    const [above, bytes] = await Promise.all([
      this.tile(level + 1, index / BigInt(TILE_WIDTH)),
      findTile(this.#find, ref),
    ]);
    const place = Number(index % BigInt(TILE_WIDTH)) * HASH_BYTES;
    if (equalBytes(rootOfTile(bytes), above.subarray(place, place + HASH_BYTES))) return bytes;
    throw new CheckError(
      "ERR_ROOT_MISMATCH",
      `${formatTilePath(ref)} is not a tile of the tree of ${this.#size} leaves`,
    );
  }

  /** Reader for proofs of this tree. */
  reader(): HashReader {
    return makeTileHashReader(this.#size, (ref) => {
      invariant(ref.kind === "hash", "a reader of hashes asks for hash tiles");
      return this.tile(ref.level, ref.index);
    });
  }

  /**
   * Checks the leaf hashes of a bundle against the level-0 tile of the same number.
   *
   * @throws {CheckError} ERR_ROOT_MISMATCH
   */
  async checkLeaves(index: bigint, leaves: readonly LeafHash[]): Promise<void> {
    const tile = hashesOf(await this.tile(0, index));
    const isEqual =
      tile.length === leaves.length &&
      leaves.every((leaf, i) => equalBytes(asNodeHash(leaf), tile[i] ?? leaf.subarray(1)));
    if (isEqual) return;
    throw new CheckError("ERR_ROOT_MISMATCH", `bundle ${index} does not hold the entries of the tree`);
  }
}

async function findTile(find: FindTile, ref: TileRef): Promise<Uint8Array> {
  const bytes = await find(ref);
  const want = ref.width * HASH_BYTES;
  if (bytes === undefined) throw new CheckError("ERR_TILE_MISSING", `${formatTilePath(ref)} is not to be had`);
  if (bytes.length === want) return bytes;
  throw new FormatError("ERR_TILE_LENGTH", `${formatTilePath(ref)}: want ${want} bytes, got ${bytes.length}`);
}

function hashesOf(tile: Uint8Array): readonly NodeHash[] {
  return Array.from({ length: tile.length / HASH_BYTES }, (_, i) =>
    parseNodeHash(tile.slice(i * HASH_BYTES, (i + 1) * HASH_BYTES)),
  );
}
