/**
 * Gives up write-ahead files that nothing needs any more. Their entries are in durable bundles and tiles and in the
 * index; their signed segments and conflicting receipts, which are in no tree, go to `archive/<first batch>.frames`
 * first, one frame a file, and stay for good.
 */

import type { EntryIndex } from "../sequence/entry-index.ts";
import type { IndexStore } from "../sequence/index-store.ts";
import type { TileStore } from "../tree/tile-store.ts";
import type { Disk } from "./disk.ts";
import { writeOnce } from "./durable-file.ts";
import type { Wal, WalFile } from "./wal.ts";
import { FRAME_TYPES, formatFrame } from "./wal-frame.ts";
import { NO_SALT } from "./wal-salt.ts";

const FOLDER = "archive";
const TILE_WIDTH = 256n;

/** What retirement looks at. */
export interface RetirementParts {
  readonly disk: Disk;
  readonly wal: Wal;
  readonly tiles: TileStore;
  readonly tree: { readonly size: bigint };
  readonly index: EntryIndex;
  readonly store: IndexStore;
}

/**
 * Retires every file whose entries were in the tree at the call, with tiles and index made durable first; what comes
 * meanwhile is not waited for. The file that is being written always stays.
 */
export async function retireWalFiles(parts: RetirementParts): Promise<void> {
  if (parts.wal.oldestLeft === undefined) return;
  const bundled = parts.tree.size - (parts.tree.size % TILE_WIDTH);
  await Promise.all([parts.tiles.flush(), parts.index.flush()]);
  await parts.store.sync();
  const covered = bundled < parts.store.durable ? bundled : parts.store.durable;
  for (let left = parts.wal.oldestLeft; left !== undefined && left.next.index <= covered; left = parts.wal.oldestLeft) {
    await archive(parts, left.file);
    await parts.wal.retireOldest();
  }
}

async function archive({ disk, wal }: RetirementParts, file: WalFile): Promise<void> {
  if (file.others.isEmpty) return;
  const records = await wal.readOthers(file);
  const batch = { batch: file.first.batch, firstIndex: file.first.index, records };
  // Always of the same type: what an earlier version archived before it died must come out byte by byte again.
  const { bytes } = formatFrame(batch, NO_SALT, FRAME_TYPES.crc32c);
  const name = file.first.batch.toString().padStart(16, "0");
  await writeOnce(disk, [{ path: `${FOLDER}/${name}.frames`, bytes }]);
}
