/**
 * One process per data folder. The lock is the operating system's (fcntl) on `lock/LOCK`, taken through an empty
 * LevelDB: it falls with the process, also with `kill -9`, so there is no stale lock to judge.
 */

import { Level } from "level";
import { StoreError } from "../../kernel/errors.ts";

/** A folder that this process alone may use. */
export interface FolderLock {
  readonly release: () => Promise<void>;
}

/**
 * Takes the lock of the data folder, which must exist; fails at once, never waits.
 *
 * @throws {StoreError} ERR_FOLDER_LOCKED if another ledger runs on it
 */
export async function lockFolder(dataDir: string): Promise<FolderLock> {
  const lock = new Level(`${dataDir}/lock`);
  try {
    await lock.open();
  } catch (cause) {
    throw new StoreError("ERR_FOLDER_LOCKED", "another process runs on this data folder", { cause });
  }
  return { release: () => lock.close() };
}
