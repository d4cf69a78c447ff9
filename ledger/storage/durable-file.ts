/**
 * Whole files that appear at once or not at all: temporary file, fdatasync, rename, fsync of the folder.
 * A crash leaves the old file, the new file, or an unused temporary beside them.
 */

import { equalBytes } from "../../kernel/bytes.ts";
import { StoreError } from "../../kernel/errors.ts";
import { type Disk, folderOf } from "./disk.ts";

/** One file to write. */
export interface NewFile {
  readonly path: string;
  readonly bytes: Uint8Array;
}

/** Replaces the file at `path`; durable when it resolves. */
export async function replaceFile(disk: Disk, file: NewFile): Promise<void> {
  await disk.makeFolder(folderOf(file.path));
  await stage(disk, file);
  await disk.syncFolder(folderOf(file.path));
}

/**
 * Writes files that never change once they exist, all of them durable when it resolves; each folder is synced once.
 * A file that exists with the same bytes is what an earlier run left: it stays.
 *
 * @throws {StoreError} ERR_STORE_CONFLICT, fatal, if one exists with other bytes: published history would change
 */
export async function writeOnce(disk: Disk, files: readonly NewFile[]): Promise<void> {
  const folders = new Set(files.map((file) => folderOf(file.path)));
  for (const folder of folders) await disk.makeFolder(folder);
  await Promise.all(files.map((file) => writeMissing(disk, file)));
  for (const folder of folders) await disk.syncFolder(folder);
}

async function writeMissing(disk: Disk, file: NewFile): Promise<void> {
  const present = await disk.read(file.path);
  if (present === undefined) return stage(disk, file);
  if (equalBytes(present, file.bytes)) return;
  throw new StoreError("ERR_STORE_CONFLICT", `${file.path} exists with other bytes`, { fatal: true });
}

async function stage(disk: Disk, file: NewFile): Promise<void> {
  const temporary = `${file.path}.tmp`;
  await disk.remove(temporary);
  const handle = await disk.open(temporary);
  try {
    await handle.write(file.bytes, 0);
    await handle.datasync();
  } finally {
    await handle.close();
  }
  await disk.rename(temporary, file.path);
}
