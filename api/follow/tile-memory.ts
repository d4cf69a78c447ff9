/** Keeps the hash tiles that one round has read, so that a run of proofs asks for each of them once. Bounded. */

import { formatTilePath } from "../../kernel/tile/path.ts";
import type { ReadTile } from "../../kernel/tile/tile-reader.ts";

/** 128 tiles of 8 KiB. */
const MAX_TILES = 128;

/** A reader that remembers; the oldest tiles are forgotten first. Failed reads are not remembered. */
export function rememberTiles(read: ReadTile): ReadTile {
  const known = new Map<string, Uint8Array>();
  return async (ref) => {
    const path = formatTilePath(ref);
    const found = known.get(path);
    if (found !== undefined) return found;
    const tile = await read(ref);
    const [oldest] = known.keys();
    if (known.size >= MAX_TILES && oldest !== undefined) known.delete(oldest);
    known.set(path, tile);
    return tile;
  };
}
