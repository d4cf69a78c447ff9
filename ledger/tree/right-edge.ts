/**
 * The growing side of the tree, in memory: compact range, rightmost tile of each level, entries of the last bundle.
 * Appending never reads. A partial tile is always a prefix of the tile that it becomes, so partials are cut from here
 * and never stored; a tile or bundle that becomes full is handed over, once.
 */

import { invariant } from "../../kernel/errors.ts";
import { CompactRange } from "../../kernel/merkle/compact-range.ts";
import { HASH_BYTES, type LeafHash, type NodeHash, type RootHash } from "../../kernel/merkle/hash.ts";
import type { NodeId } from "../../kernel/merkle/node-id.ts";
import { TILE_WIDTH } from "../../kernel/tile/coordinates.ts";
import { formatEntryBundle } from "../../kernel/tile/entry-bundle.ts";
import type { TileRef } from "../../kernel/tile/path.ts";

/** Levels of the tree between one tile level and the next. */
export const TILE_HEIGHT = 8;

/** A tile or bundle of full width. */
export interface FullTile {
  readonly ref: TileRef;
  readonly bytes: Uint8Array;
}

/** The rightmost tile of a level: `width` hashes at the front of `bytes`. */
export interface EdgeTile {
  readonly index: bigint;
  readonly width: number;
  readonly bytes: Uint8Array;
}

/** What `RightEdge` goes on from: a tree whose size is a multiple of 256. */
export interface EdgeStart {
  readonly size: bigint;
  /** Complete subtrees of the tree, as `CompactRange.fromNodes` takes them. */
  readonly nodes: readonly NodeHash[];
  /** Rightmost tiles by level, from level 0; none where the level is empty. */
  readonly tiles: readonly EdgeTile[];
}

/** The empty tree. */
export const EMPTY_EDGE: EdgeStart = { size: 0n, nodes: [], tiles: [] };

/** Mutable: `append` changes it. */
export class RightEdge {
  readonly #onFull: (tile: FullTile) => void;
  readonly #range: CompactRange;
  readonly #tiles: EdgeTile[];
  #bundleIndex: bigint;
  #bundle: Uint8Array[] = [];

  constructor(start: EdgeStart, onFull: (tile: FullTile) => void) {
    invariant(start.size % BigInt(TILE_WIDTH) === 0n, "RightEdge: the start must be a multiple of the tile width");
    this.#onFull = onFull;
    this.#range = CompactRange.fromNodes(start.size, start.nodes, (id, hash) => this.#place(id, hash));
    this.#tiles = [...start.tiles];
    this.#bundleIndex = start.size / BigInt(TILE_WIDTH);
  }

  /** Number of entries. */
  get size(): bigint {
    return this.#range.size;
  }

  /** Root of the tree of `size` entries. */
  root(): RootHash {
    return this.#range.root();
  }

  /** Adds one entry and its leaf hash at index `size`. */
  append(entry: Uint8Array, leaf: LeafHash): void {
    this.#bundle.push(entry);
    if (this.#bundle.length === TILE_WIDTH) this.#finishBundle();
    this.#range.append(leaf);
  }

  /** The rightmost tile of a level. */
  tile(level: number): EdgeTile | undefined {
    return this.#tiles[level];
  }

  /** Entries of the bundle that is not full yet. */
  bundle(): { readonly index: bigint; readonly entries: readonly Uint8Array[] } {
    return { index: this.#bundleIndex, entries: this.#bundle };
  }

  #finishBundle(): void {
    const ref: TileRef = { kind: "entries", index: this.#bundleIndex, width: TILE_WIDTH };
    this.#onFull({ ref, bytes: formatEntryBundle(this.#bundle) });
    this.#bundle = [];
    this.#bundleIndex += 1n;
  }

  /** Nodes at multiples of the tile height are the hashes of tiles; those between are re-hashed by readers. */
  #place(id: NodeId, hash: NodeHash): void {
    if (id.level % TILE_HEIGHT !== 0) return;
    const level = id.level / TILE_HEIGHT;
    const index = id.index >> BigInt(TILE_HEIGHT);
    const old = this.#tiles[level];
    const bytes = old?.index === index ? old.bytes : new Uint8Array(TILE_WIDTH * HASH_BYTES);
    const position = Number(id.index & BigInt(TILE_WIDTH - 1));
    bytes.set(hash, position * HASH_BYTES);
    this.#tiles[level] = { index, width: position + 1, bytes };
    if (position + 1 === TILE_WIDTH) this.#onFull({ ref: { kind: "hash", level, index, width: TILE_WIDTH }, bytes });
  }
}
