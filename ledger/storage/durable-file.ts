/**
 * Whole files that appear at once or not at all: temporary file, fdatasync, rename, fsync of the folder.
 * A crash leaves the old file, the new file, or an unused temporary beside them.
 */

import { equalBytes } from "../../kernel/bytes.ts";
import { StoreError } from "../../kernel/errors.ts";
import { RecentMap } from "../tree/recent-map.ts";
import { type Disk, folderOf, type NewFile } from "./disk.ts";

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
 * @param names  what the caller knows of the folders, where it writes to them again and again and nobody else does
 * @throws {StoreError} ERR_STORE_CONFLICT, fatal, if one exists with other bytes: published history would change
 */
export async function writeOnce(
  disk: Disk,
  files: readonly NewFile[],
  names: Pick<FolderNames, "mayHold"> = UNKNOWN_NAMES,
): Promise<void> {
  const folders = new Set(files.map((file) => folderOf(file.path)));
  for (const folder of folders) await disk.makeFolder(folder);
  const missing = await withoutPresent(disk, files, names);
  if (missing.length > 0) await (disk.writeNew?.(missing) ?? writeEach(disk, missing, names));
  // What is present may be what an earlier run renamed and did not sync.
  if (missing.length < files.length) for (const folder of folders) await disk.syncFolder(folder);
}

/** Writes files that are not there, each by calls of its own. */
export async function writeEach(
  disk: Disk,
  files: readonly NewFile[],
  names: Pick<FolderNames, "mayHold"> = UNKNOWN_NAMES,
): Promise<void> {
  await Promise.all(files.map(async (file) => stage(disk, file, await names.mayHold(temporaryOf(file)))));
  for (const folder of new Set(files.map((file) => folderOf(file.path)))) await disk.syncFolder(folder);
}

const UNKNOWN_NAMES: Pick<FolderNames, "mayHold"> = { mayHold: () => Promise.resolve(true) };

/** Folders whose names are kept: those of the edge of a log. */
const KEPT_FOLDERS = 16;

/** What folders held when they were first looked at: what earlier runs left. Each is listed once. */
export class FolderNames {
  readonly #disk: Disk;
  readonly #names = new RecentMap<string, Promise<ReadonlySet<string>>>(KEPT_FOLDERS);

  constructor(disk: Disk) {
    this.#disk = disk;
  }

  /** False if there was no such file. */
  async mayHold(path: string): Promise<boolean> {
    const folder = folderOf(path);
    const names = this.#names.get(folder) ?? this.#list(folder);
    return (await names).has(path.slice(folder.length + 1));
  }

  #list(folder: string): Promise<ReadonlySet<string>> {
    const names = this.#disk.list(folder).then((list) => new Set(list));
    this.#names.set(folder, names);
    return names;
  }
}

/** Those that are not there. @throws {StoreError} ERR_STORE_CONFLICT if one is, with other bytes */
async function withoutPresent(
  disk: Disk,
  files: readonly NewFile[],
  names: Pick<FolderNames, "mayHold">,
): Promise<readonly NewFile[]> {
  const present = await Promise.all(
    files.map(async ({ path }) => ((await names.mayHold(path)) ? disk.read(path) : undefined)),
  );
  return files.filter(({ path, bytes }, i) => {
    const found = present[i];
    if (found === undefined) return true;
    if (equalBytes(found, bytes)) return false;
    throw new StoreError("ERR_STORE_CONFLICT", `${path} exists with other bytes`, { fatal: true });
  });
}

async function stage(disk: Disk, file: NewFile, mayBeLeft = true): Promise<void> {
  const temporary = temporaryOf(file);
  if (mayBeLeft) await disk.remove(temporary);
  const handle = await disk.open(temporary);
  try {
    await handle.write(file.bytes, 0);
    await handle.datasync();
  } finally {
    await handle.close();
  }
  await disk.rename(temporary, file.path);
}

function temporaryOf({ path }: NewFile): string {
  return `${path}.tmp`;
}
