/** Makes the tiles above level 0, and the partial ones of every level, from stored level-0 tiles and bundles. */

import { concat } from "../../kernel/bytes.ts";
import { CheckError } from "../../kernel/errors.ts";
import { hashLeaf } from "../../kernel/merkle/hash.ts";
import { rootOfTile, TILE_WIDTH, tileWidth } from "../../kernel/tile/coordinates.ts";
import { parseEntryBundle } from "../../kernel/tile/entry-bundle.ts";
import type { TileRef } from "../../kernel/tile/path.ts";
import type { MirrorStore } from "./mirror-store.ts";

/**
 * Writes every tile that a tree of `size` has beyond one of `oldSize`, level 0 full tiles aside, which are there.
 *
 * @throws {CheckError} ERR_TILE_MISSING
 */
export async function writeUpperTiles(store: MirrorStore, oldSize: bigint, size: bigint): Promise<void> {
  await writeEdgeOfLevel0(store, size);
  for (let level = 1; size >> BigInt(8 * level) > 0n; level += 1) {
    const shift = BigInt(8 * (level + 1));
    for (let index = oldSize >> shift; index <= size >> shift; index += 1n) {
      const width = tileWidth({ level, index }, size);
      if (width > 0) await store.write([await makeTile(store, { kind: "hash", level, index, width })]);
    }
  }
}

async function writeEdgeOfLevel0(store: MirrorStore, size: bigint): Promise<void> {
  const index = size / BigInt(TILE_WIDTH);
  const width = tileWidth({ level: 0, index }, size);
  if (width === 0) return;
  const bundle = await readOrThrow(store, { kind: "entries", index, width });
  const leaves = parseEntryBundle(bundle, width).map(hashLeaf);
  await store.write([
    { ref: { kind: "entries", index, width }, bytes: bundle },
    { ref: { kind: "hash", level: 0, index, width }, bytes: concat(...leaves) },
  ]);
}

async function makeTile(
  store: MirrorStore,
  ref: TileRef & { readonly kind: "hash" },
): Promise<{ readonly ref: TileRef; readonly bytes: Uint8Array }> {
  const first = ref.index * BigInt(TILE_WIDTH);
  const below = Array.from({ length: ref.width }, (_, i) =>
    readOrThrow(store, { kind: "hash", level: ref.level - 1, index: first + BigInt(i), width: TILE_WIDTH }),
  );
  return { ref, bytes: concat(...(await Promise.all(below)).map(rootOfTile)) };
}

async function readOrThrow(store: MirrorStore, ref: TileRef): Promise<Uint8Array> {
  const bytes = await store.read(ref);
  if (bytes !== undefined) return bytes;
  throw new CheckError("ERR_TILE_MISSING", `a tile or bundle of number ${ref.index} is missing`);
}
