/**
 * The tree as any node reads it, whoever integrates: full tiles and bundles from the object store, the right edge from the
 * recorded head, entries that are in no stored bundle yet from the database.
 */

import { invariant } from "../../kernel/errors.ts";
import { HASH_BYTES } from "../../kernel/merkle/hash.ts";
import type { HashReader } from "../../kernel/merkle/prove.ts";
import { TILE_WIDTH } from "../../kernel/tile/coordinates.ts";
import { formatEntryBundle, parseEntryBundle } from "../../kernel/tile/entry-bundle.ts";
import type { TileRef } from "../../kernel/tile/path.ts";
import { type FullTiles, readerOf, type Tree } from "../tree/tree.ts";
import { readEntryRow, readRun } from "./batch-table.ts";
import type { Sql } from "./database.ts";
import type { HeadWatch } from "./head-watch.ts";

const WIDTH = BigInt(TILE_WIDTH);

/** What the tree is read from. */
export interface NodeTreeParts {
  readonly sql: Sql;
  readonly log: bigint;
  readonly tiles: Pick<FullTiles, "read">;
  readonly watch: HeadWatch;
}

/** Reads of one log. */
export class NodeTree implements Tree {
  readonly #parts: NodeTreeParts;

  constructor(parts: NodeTreeParts) {
    this.#parts = parts;
  }

  /** Entries that have an index, as far as this node knows. */
  get size(): bigint {
    return this.#parts.watch.next;
  }

  reader(size: bigint): HashReader {
    return readerOf(this, size);
  }

  async readTile(ref: TileRef): Promise<Uint8Array | undefined> {
    return ref.kind === "hash" ? this.#readHashTile(ref) : this.#readBundleTile(ref);
  }

  async readEntry(index: bigint): Promise<Uint8Array> {
    const { sql, log } = this.#parts;
    // A bundle that was stored meanwhile has taken the place of the row, never the other way round.
    const entry = (await readEntryRow(sql, log, index)) ?? (await this.#storedEntry(index));
    invariant(entry !== undefined, `entry ${index} is neither in the database nor in the object store`);
    return entry;
  }

  async readBundle(index: bigint): Promise<readonly Uint8Array[]> {
    const { tiles } = this.#parts;
    const readFull = async (): Promise<readonly Uint8Array[] | undefined> => {
      const full = await tiles.read({ kind: "entries", index, width: TILE_WIDTH });
      return full === undefined ? undefined : parseEntryBundle(full, TILE_WIDTH);
    };
    const stored = await readFull();
    if (stored !== undefined) return stored;
    try {
      return await this.#sequenced(index);
    } catch (error) {
      // Its rows may have gone between the two reads, because the bundle is stored now.
      const late = await readFull();
      if (late !== undefined) return late;
      throw error;
    }
  }

  /** Entries of a bundle that is not stored. */
  async #sequenced(index: bigint): Promise<readonly Uint8Array[]> {
    const { sql, log } = this.#parts;
    const entries: Uint8Array[] = [];
    while (entries.length < TILE_WIDTH) {
      const run = await readRun(sql, log, index * WIDTH + BigInt(entries.length));
      if (run === undefined) break;
      entries.push(...run.entries.slice(0, TILE_WIDTH - entries.length));
    }
    return entries;
  }

  async #storedEntry(index: bigint): Promise<Uint8Array | undefined> {
    const bytes = await this.#parts.tiles.read({ kind: "entries", index: index / WIDTH, width: TILE_WIDTH });
    return bytes === undefined ? undefined : parseEntryBundle(bytes, TILE_WIDTH)[Number(index % WIDTH)];
  }

  async #readHashTile(ref: TileRef & { readonly kind: "hash" }): Promise<Uint8Array | undefined> {
    const length = ref.width * HASH_BYTES;
    const edge = this.#parts.watch.recorded?.edge[ref.level];
    if (edge?.index === ref.index && edge.bytes.length >= length) return edge.bytes.subarray(0, length);
    return (await this.#parts.tiles.read({ ...ref, width: TILE_WIDTH }))?.subarray(0, length);
  }

  async #readBundleTile(ref: TileRef): Promise<Uint8Array | undefined> {
    if (ref.width === TILE_WIDTH) return this.#parts.tiles.read(ref);
    const entries = await this.readBundle(ref.index);
    return entries.length < ref.width ? undefined : formatEntryBundle(entries.slice(0, ref.width));
  }
}
