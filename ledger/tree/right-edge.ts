/**
 * The growing side of the tree, in memory: compact range, rightmost tile of each level, entries of the last bundle.
 * Appending never reads. A partial tile is always a prefix of the tile that it becomes, so partials are cut from here
 * and never stored; a tile or bundle that becomes full is handed over, once.
 */

import { invariant } from "../../kernel/errors.ts";
import { CompactRange } from "../../kernel/merkle/compact-range.ts";
import {
  asRootHash,
  EMPTY_ROOT,
  HASH_BYTES,
  type LeafHash,
  type NodeHash,
  type RootHash,
} from "../../kernel/merkle/hash.ts";
import { foldRange, type NodeId, nodesOfRange } from "../../kernel/merkle/node-id.ts";
import { nodeFromTile, rootOfTile, TILE_WIDTH } from "../../kernel/tile/coordinates.ts";
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

/**
 * Mutable: `append` changes it. Leaves are gathered in their tile; nodes above them are hashed once it is full, and those of a
 * part of it when somebody asks for the root.
 */
export class RightEdge {
  readonly #onFull: (tile: FullTile) => void;
  /** Of the full tiles of leaves: its leaves are their roots. */
  readonly #range: CompactRange;
  readonly #tiles: EdgeTile[];
  /** Number of the tile of leaves, and of the bundle, that are not full yet. */
  #index: bigint;
  #leaves: Uint8Array = new Uint8Array(TILE_WIDTH * HASH_BYTES);
  #bundle: Uint8Array[] = [];

  constructor(start: EdgeStart, onFull: (tile: FullTile) => void) {
    invariant(start.size % BigInt(TILE_WIDTH) === 0n, "RightEdge: the start must be a multiple of the tile width");
    this.#onFull = onFull;
    this.#index = start.size / BigInt(TILE_WIDTH);
    this.#range = CompactRange.fromNodes(this.#index, start.nodes, (id, hash) => this.#place(id, hash));
    this.#tiles = [...start.tiles];
  }

  /** Number of entries. */
  get size(): bigint {
    return this.#index * BigInt(TILE_WIDTH) + BigInt(this.#bundle.length);
  }

  /** Root of the tree of `size` entries; cost: up to one hash for each entry of the last tile. */
  root(): RootHash {
    const nodes = [...this.#range.nodes(), ...this.#partialNodes()];
    return nodes.length === 0 ? EMPTY_ROOT : asRootHash(foldRange(nodes));
  }

  /** Adds one entry and its leaf hash at index `size`. */
  append(entry: Uint8Array, leaf: LeafHash): void {
    this.#leaves.set(leaf, this.#bundle.length * HASH_BYTES);
    this.#bundle.push(entry);
    if (this.#bundle.length === TILE_WIDTH) this.#finish();
  }

  /** The rightmost tile of a level. */
  tile(level: number): EdgeTile | undefined {
    if (level > 0 || this.#bundle.length === 0) return this.#tiles[level];
    return { index: this.#index, width: this.#bundle.length, bytes: this.#leaves };
  }

  /** Entries of the bundle that is not full yet. */
  bundle(): { readonly index: bigint; readonly entries: readonly Uint8Array[] } {
    return { index: this.#index, entries: this.#bundle };
  }

  #finish(): void {
    const [index, width, bytes] = [this.#index, TILE_WIDTH, this.#leaves];
    this.#onFull({ ref: { kind: "entries", index, width }, bytes: formatEntryBundle(this.#bundle) });
    this.#tiles[0] = { index, width, bytes };
    this.#onFull({ ref: { kind: "hash", level: 0, index, width }, bytes });
    this.#bundle = [];
    this.#index += 1n;
    this.#leaves = new Uint8Array(TILE_WIDTH * HASH_BYTES);
    this.#range.append(rootOfTile(bytes));
  }

  /** Complete subtrees of the tile that is not full, widest first. */
  #partialNodes(): readonly NodeHash[] {
    const width = this.#bundle.length;
    if (width === 0) return [];
    return nodesOfRange(0n, BigInt(width)).map((id) => nodeFromTile(this.#leaves, 0, 0n, id));
  }

  /**
   * Nodes at multiples of the tile height are the hashes of tiles; those between are re-hashed by readers.
   *
   * @param id  in the tree over tiles of leaves, which begins one tile above them
   */
  #place(id: NodeId, hash: NodeHash): void {
    if (id.level % TILE_HEIGHT !== 0) return;
    const level = id.level / TILE_HEIGHT + 1;
    const index = id.index >> BigInt(TILE_HEIGHT);
    const old = this.#tiles[level];
    const bytes = old?.index === index ? old.bytes : new Uint8Array(TILE_WIDTH * HASH_BYTES);
    const position = Number(id.index & BigInt(TILE_WIDTH - 1));
    bytes.set(hash, position * HASH_BYTES);
    this.#tiles[level] = { index, width: position + 1, bytes };
    if (position + 1 === TILE_WIDTH) this.#onFull({ ref: { kind: "hash", level, index, width: TILE_WIDTH }, bytes });
  }
}
