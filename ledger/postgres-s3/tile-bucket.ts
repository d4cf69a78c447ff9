/**
 * Full tiles and bundles as immutable objects in the C2SP layout. The integrator adds and flushes, every node reads. What was
 * added counts as stored only once the store has said so, or has shown the same bytes.
 */

import { formatTilePath, type TileRef } from "../../kernel/tile/path.ts";
import { RecentMap } from "../tree/recent-map.ts";
import type { FullTile } from "../tree/right-edge.ts";
import type { FullTiles } from "../tree/tree.ts";
import { createOnce, type ObjectHeaders, type ObjectStore } from "./object-store.ts";

/** Objects that are written at the same time. */
const PARALLEL_WRITES = 8;
/** Hash tiles (16 MiB) and bundles kept after a read. */
const CACHED_TILES = 2048;
const CACHED_BUNDLES = 64;

/** Headers of tiles and bundles. */
export const TILE_HEADERS: ObjectHeaders = {
  contentType: "application/octet-stream",
  cacheControl: "public, max-age=31536000, immutable",
};

/** The tiles of one log. */
export class TileBucket implements FullTiles {
  readonly #store: ObjectStore;
  readonly #waiting = new Map<string, Uint8Array>();
  readonly #tiles = new RecentMap<string, Uint8Array>(CACHED_TILES);
  readonly #bundles = new RecentMap<string, Uint8Array>(CACHED_BUNDLES);

  constructor(store: ObjectStore) {
    this.#store = store;
  }

  /** Tiles that wait for `flush`. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** Takes a tile that `flush` will store. */
  add(tile: FullTile): void {
    // A copy: not everything that takes bytes takes memory which threads share.
    this.#waiting.set(formatTilePath(tile.ref), tile.bytes.slice());
  }

  /** Resolves when everything added so far is stored. @throws {StoreError} ERR_STORE_CONFLICT, ERR_OBJECT_STORE */
  async flush(): Promise<void> {
    const todo = [...this.#waiting];
    const work = async (): Promise<void> => {
      for (let next = todo.pop(); next !== undefined; next = todo.pop()) {
        const [path, bytes] = next;
        await createOnce(this.#store, path, bytes, TILE_HEADERS);
        this.#waiting.delete(path);
      }
    };
    await Promise.all(Array.from({ length: PARALLEL_WRITES }, work));
  }

  async read(ref: TileRef): Promise<Uint8Array | undefined> {
    const path = formatTilePath(ref);
    const recent = ref.kind === "hash" ? this.#tiles : this.#bundles;
    const known = this.#waiting.get(path) ?? recent.get(path);
    if (known !== undefined) return known;
    const bytes = (await this.#store.get(path))?.bytes;
    if (bytes !== undefined) recent.set(path, bytes);
    return bytes;
  }
}
