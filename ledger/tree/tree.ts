/**
 * The log's tree as the rest of the ledger sees it: append at the right, read any tile, bundle or entry. What lies
 * left of the edge is in full tiles, what lies right of them in memory.
 */

import { invariant, StoreError } from "../../kernel/errors.ts";
import {
  type EntryRanges,
  HASH_BYTES,
  hashNode,
  type LeafHash,
  type LeafHashes,
  type NodeHash,
  type RootHash,
} from "../../kernel/merkle/hash.ts";
import { type NodeId, nodesOfRange } from "../../kernel/merkle/node-id.ts";
import type { HashReader } from "../../kernel/merkle/prove.ts";
import { nodeFromTile, partialWidth, TILE_WIDTH } from "../../kernel/tile/coordinates.ts";
import { formatEntryBundle, parseEntryBundle } from "../../kernel/tile/entry-bundle.ts";
import type { TileRef } from "../../kernel/tile/path.ts";
import { makeTileHashReader } from "../../kernel/tile/tile-reader.ts";
import { RecentMap } from "./recent-map.ts";
import { type EdgeStart, type EdgeTile, type FullTile, RightEdge, TILE_HEIGHT } from "./right-edge.ts";

/** Nodes that are kept once they were read: 2 MiB. */
const UPPER_NODES = 8192;

/** The tree of a log, to read. */
export interface Tree {
  /** Number of entries. */
  readonly size: bigint;
  /** Reader of the tree of `size` entries, which must not be above this tree's. */
  readonly reader: (size: bigint) => HashReader;
  /** Bytes of a tile or bundle at the width asked for; undefined if the tree is not that wide there. */
  readonly readTile: (ref: TileRef) => Promise<Uint8Array | undefined>;
  /** Bytes of the entry at `index`; requires index < size. */
  readonly readEntry: (index: bigint) => Promise<Uint8Array>;
  /** All entries so far of one bundle; requires that there is at least one. */
  readonly readBundle: (index: bigint) => Promise<readonly Uint8Array[]>;
}

/** Reader of the tree of `size` entries, over the tiles of a tree that is as large. */
export function readerOf(tree: Pick<Tree, "readTile">, size: bigint): HashReader {
  return makeTileHashReader(size, async (ref) => {
    const bytes = await tree.readTile(ref);
    if (bytes === undefined) throw new StoreError("ERR_TILE_MISSING", "a tile of the log is missing", { fatal: true });
    return bytes;
  });
}

/** Where full tiles and bundles are. */
export interface FullTiles {
  /** Takes a tile that will be durable later. */
  readonly add: (tile: FullTile) => void;
  /** Bytes of a full tile or bundle; undefined if it does not exist. */
  readonly read: (ref: TileRef) => Promise<Uint8Array | undefined>;
}

/** Mutable: `append` changes it. All other methods only read. */
export class GrowingTree implements Tree {
  readonly #store: FullTiles;
  readonly #edge: RightEdge;
  /** Nodes above the tiles of leaves: each is hashed out of up to 128 others. */
  readonly #upper = new RecentMap<string, NodeHash>(UPPER_NODES);

  constructor(store: FullTiles, start: EdgeStart) {
    this.#store = store;
    this.#edge = new RightEdge(start, (tile) => store.add(tile));
  }

  /** Number of entries. */
  get size(): bigint {
    return this.#edge.size;
  }

  /** Root of the tree of `size` entries. */
  root(): RootHash {
    return this.#edge.root();
  }

  /** Adds one entry and its leaf hash at index `size`. */
  append(entry: Uint8Array, leaf: LeafHash): void {
    this.#edge.append(entry, leaf);
  }

  /** Adds entries and their leaf hashes, as many and in their order. */
  appendAll(entries: EntryRanges, leaves: LeafHashes): void {
    this.#edge.appendAll(entries, leaves);
  }

  /** Reader of the tree of `size` entries, which must not be above this tree's. */
  reader(size: bigint): HashReader {
    const reader = readerOf(this, size);
    return { readNodes: (ids) => this.#readNodes(reader, ids) };
  }

  /** Bytes of a tile or bundle at the width asked for; undefined if the tree is not that wide there. */
  async readTile(ref: TileRef): Promise<Uint8Array | undefined> {
    const edge = ref.kind === "hash" ? this.#readEdgeTile(ref) : this.#readEdgeBundle(ref);
    if (edge !== undefined) return edge;
    const full = await this.#store.read({ ...ref, width: TILE_WIDTH });
    if (full === undefined || ref.width === TILE_WIDTH) return full;
    if (ref.kind === "hash") return full.subarray(0, ref.width * HASH_BYTES);
    return formatEntryBundle(parseEntryBundle(full, TILE_WIDTH).slice(0, ref.width));
  }

  /** Bytes of the entry at `index`; requires index < size. */
  async readEntry(index: bigint): Promise<Uint8Array> {
    const bundle = await this.readBundle(index / BigInt(TILE_WIDTH));
    const entry = bundle[Number(index % BigInt(TILE_WIDTH))];
    invariant(entry !== undefined, `entry ${index} is not in the tree`);
    return entry;
  }

  /** All entries so far of one bundle; requires that there is at least one. */
  async readBundle(index: bigint): Promise<readonly Uint8Array[]> {
    const last = this.#edge.bundle();
    if (last.index === index) return last.bundle.entries();
    const bytes = await this.#store.read({ kind: "entries", index, width: TILE_WIDTH });
    if (bytes === undefined) throw new StoreError("ERR_TILE_MISSING", `bundle ${index} is missing`, { fatal: true });
    return parseEntryBundle(bytes, TILE_WIDTH);
  }

  /** A node never changes once it is complete, and readers ask for complete ones only. */
  async #readNodes(reader: HashReader, ids: readonly NodeId[]): Promise<readonly NodeHash[]> {
    const known = ids.map((id) => (id.level > TILE_HEIGHT ? this.#upper.get(keyOf(id)) : undefined));
    const read = await reader.readNodes(ids.filter((_, i) => known[i] === undefined));
    let next = 0;
    return ids.map((id, i) => {
      const node = known[i] ?? read[next++];
      invariant(node !== undefined, "a reader gives as many nodes as it is asked for");
      if (known[i] === undefined && id.level > TILE_HEIGHT) this.#upper.set(keyOf(id), node);
      return node;
    });
  }

  #readEdgeTile(ref: TileRef & { readonly kind: "hash" }): Uint8Array | undefined {
    const tile = this.#edge.tile(ref.level);
    if (tile?.index !== ref.index || tile.width < ref.width) return undefined;
    return tile.bytes.slice(0, ref.width * HASH_BYTES);
  }

  #readEdgeBundle(ref: TileRef): Uint8Array | undefined {
    const { index, bundle } = this.#edge.bundle();
    return index !== ref.index || bundle.width < ref.width ? undefined : bundle.prefix(ref.width);
  }
}

function keyOf({ level, index }: NodeId): string {
  return `${level}/${index}`;
}

/**
 * The edge of the tree of `size` entries (a multiple of 256), from full tiles alone: at most 255 tile reads a level.
 *
 * @throws {StoreError} ERR_TILE_MISSING, fatal
 */
export async function readEdgeStart(store: FullTiles, size: bigint): Promise<EdgeStart> {
  const tiles: EdgeTile[] = [];
  for (let level = 0; size >> BigInt(TILE_HEIGHT * level) > 0n; level += 1) {
    const edge = await readEdgeTile(store, level, size);
    if (edge !== undefined) tiles[level] = edge;
  }
  const reader = makeTileHashReader(size, async (ref) => {
    const edge = ref.kind === "hash" ? tiles[ref.level] : undefined;
    return edge?.index === ref.index ? edge.bytes.subarray(0, ref.width * HASH_BYTES) : readFull(store, ref);
  });
  return { size, tiles, nodes: size === 0n ? [] : await reader.readNodes(nodesOfRange(0n, size)) };
}

/** The partial tile of a level, from the roots of the full tiles below it. */
async function readEdgeTile(store: FullTiles, level: number, size: bigint): Promise<EdgeTile | undefined> {
  const width = partialWidth(level, size);
  if (width === 0) return undefined;
  const index = (size >> BigInt(TILE_HEIGHT * level)) / BigInt(TILE_WIDTH);
  const bytes = new Uint8Array(TILE_WIDTH * HASH_BYTES);
  const hashes = Array.from({ length: width }, (_, i) => readTileRoot(store, level - 1, index * 256n + BigInt(i)));
  for (const [i, hash] of (await Promise.all(hashes)).entries()) bytes.set(hash, i * HASH_BYTES);
  return { index, width, bytes };
}

async function readTileRoot(store: FullTiles, level: number, index: bigint): Promise<NodeHash> {
  const bytes = await readFull(store, { kind: "hash", level, index, width: TILE_WIDTH });
  const half = (side: bigint): NodeHash =>
    nodeFromTile(bytes, level, index, { level: TILE_HEIGHT * (level + 1) - 1, index: 2n * index + side });
  return hashNode(half(0n), half(1n));
}

async function readFull(store: FullTiles, ref: TileRef): Promise<Uint8Array> {
  const bytes = await store.read({ ...ref, width: TILE_WIDTH });
  if (bytes === undefined) throw new StoreError("ERR_TILE_MISSING", "a full tile is missing", { fatal: true });
  return bytes;
}
