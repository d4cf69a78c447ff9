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
  type EntryRanges,
  HASH_BYTES,
  type LeafHash,
  type LeafHashes,
  type NodeHash,
  type RootHash,
} from "../../kernel/merkle/hash.ts";
import { foldRange, type NodeId, nodesOfRange } from "../../kernel/merkle/node-id.ts";
import { nodeFromTile, rootOfTile, TILE_WIDTH } from "../../kernel/tile/coordinates.ts";
import type { TileRef } from "../../kernel/tile/path.ts";
import { GrowingBundle, sharedBytes } from "./growing-bundle.ts";

/** What memories of bundles that are kept for the next ones hold together. */
const KEPT_BYTES = 8 * 1024 * 1024;
/** Room that a bundle gets beyond what the one before it took: entries of one log are alike, and so are its bundles. */
const SPARE = 1 / 16;

/** Levels of the tree between one tile level and the next. */
export const TILE_HEIGHT = 8;

/** A tile or bundle of full width; those of leaves and entries are in memory that threads share, and nobody writes there any more. */
export interface FullTile {
  readonly ref: TileRef;
  readonly bytes: Uint8Array;
  /** Called, where there is one, when the bytes are durable elsewhere and nobody looks at these any more. */
  readonly release?: () => void;
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
  #leaves: Uint8Array = sharedBytes(TILE_WIDTH * HASH_BYTES);
  readonly #bundle = new GrowingBundle();
  /** Of bundles that are files by now. */
  #memories: Uint8Array[] = [];
  #keptBytes = 0;

  constructor(start: EdgeStart, onFull: (tile: FullTile) => void) {
    invariant(start.size % BigInt(TILE_WIDTH) === 0n, "RightEdge: the start must be a multiple of the tile width");
    this.#onFull = onFull;
    this.#index = start.size / BigInt(TILE_WIDTH);
    this.#range = CompactRange.fromNodes(this.#index, start.nodes, (id, hash) => this.#place(id, hash));
    this.#tiles = [...start.tiles];
  }

  /** Number of entries. */
  get size(): bigint {
    return this.#index * BigInt(TILE_WIDTH) + BigInt(this.#bundle.width);
  }

  /** Root of the tree of `size` entries; cost: up to one hash for each entry of the last tile. */
  root(): RootHash {
    const nodes = [...this.#range.nodes(), ...this.#partialNodes()];
    return nodes.length === 0 ? EMPTY_ROOT : asRootHash(foldRange(nodes));
  }

  /** Adds one entry and its leaf hash at index `size`. */
  append(entry: Uint8Array, leaf: LeafHash): void {
    this.#leaves.set(leaf, this.#bundle.width * HASH_BYTES);
    this.#bundle.add(entry);
    if (this.#bundle.width === TILE_WIDTH) this.#finish();
  }

  /** Adds entries and their leaf hashes, as many and in their order. */
  appendAll(entries: EntryRanges, leaves: LeafHashes): void {
    const count = entries.starts.length;
    for (let from = 0; from < count; ) {
      const { width } = this.#bundle;
      const to = Math.min(count, from + TILE_WIDTH - width);
      this.#leaves.set(leaves.subarray(from * HASH_BYTES, to * HASH_BYTES), width * HASH_BYTES);
      this.#bundle.addAll(entries, from, to);
      if (this.#bundle.width === TILE_WIDTH) this.#finish();
      from = to;
    }
  }

  /** The rightmost tile of a level. */
  tile(level: number): EdgeTile | undefined {
    if (level > 0 || this.#bundle.width === 0) return this.#tiles[level];
    return { index: this.#index, width: this.#bundle.width, bytes: this.#leaves };
  }

  /** Entries of the bundle that is not full yet. */
  bundle(): { readonly index: bigint; readonly bundle: Pick<GrowingBundle, "width" | "prefix" | "entries"> } {
    return { index: this.#index, bundle: this.#bundle };
  }

  #finish(): void {
    const [index, width, bytes] = [this.#index, TILE_WIDTH, this.#leaves];
    const bundle = this.#bundle.moveTo(this.#memoryFor(this.#bundle.length));
    const release = (): void => this.#keep(bundle);
    this.#onFull({ ref: { kind: "entries", index, width }, bytes: bundle, release });
    this.#tiles[0] = { index, width, bytes };
    this.#onFull({ ref: { kind: "hash", level: 0, index, width }, bytes });
    this.#index += 1n;
    this.#leaves = sharedBytes(TILE_WIDTH * HASH_BYTES);
    this.#range.append(rootOfTile(bytes));
  }

  #memoryFor(bytes: number): Uint8Array {
    const memory = this.#memories.pop();
    if (memory !== undefined) this.#keptBytes -= memory.length;
    if (memory !== undefined && memory.length >= bytes) return memory;
    [this.#memories, this.#keptBytes] = [[], 0];
    return sharedBytes(Math.ceil(bytes * (1 + SPARE)));
  }

  /** Memory costs more than what is in it: it is that of the garbage collector too. */
  #keep(bundle: Uint8Array): void {
    const memory = new Uint8Array(bundle.buffer);
    if (this.#keptBytes + memory.length > KEPT_BYTES) return;
    this.#memories.push(memory);
    this.#keptBytes += memory.length;
  }

  /** Complete subtrees of the tile that is not full, widest first. */
  #partialNodes(): readonly NodeHash[] {
    const { width } = this.#bundle;
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
