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
import { formatFrame } from "./wal-frame.ts";
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

/** Retires every file that is covered; the one that is being written always stays. */
export async function retireWalFiles(parts: RetirementParts): Promise<void> {
  if (parts.wal.files.length < 2) return;
  const bundled = parts.tree.size - (parts.tree.size % TILE_WIDTH);
  await parts.tiles.flush();
  const indexed = parts.index.watermark;
  await parts.store.sync();
  const covered = bundled < indexed ? bundled : indexed;
  for (;;) {
    const [oldest, next] = parts.wal.files;
    if (oldest === undefined || next === undefined || next.first.index > covered) return;
    await archive(parts, oldest);
    await parts.wal.retireOldest();
  }
}

async function archive({ disk, wal }: RetirementParts, file: WalFile): Promise<void> {
  const batches = await wal.read(file);
  const records = batches.flatMap((batch) => batch.records.filter(({ kind }) => kind !== "entry"));
  if (records.length === 0) return;
  const { bytes } = formatFrame({ batch: file.first.batch, firstIndex: file.first.index, records }, NO_SALT);
  const name = file.first.batch.toString().padStart(16, "0");
  await writeOnce(disk, [{ path: `${FOLDER}/${name}.frames`, bytes }]);
}
