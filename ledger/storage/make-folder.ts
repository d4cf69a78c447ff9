/**
 * Makes folders so that a power cut does not take them back with all that was made durable in them: a ledger whose folder is gone
 * would begin anew, and sign another history.
 */

import { constants } from "node:fs";
import { mkdir, open, stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";

/** What it asks of a file system. */
export interface FolderCalls {
  /** Makes one folder. @throws what mkdir throws: EEXIST if something has the name */
  readonly make: (path: string) => Promise<unknown>;
  /** False also if there is nothing. */
  readonly isFolder: (path: string) => Promise<boolean>;
  /** Makes the names in a folder durable. */
  readonly sync: (path: string) => Promise<void>;
}

/**
 * Makes a folder and those above it, outermost first, each with a durable name before the next: whoever finds one that an earlier
 * process made, and did not come far enough to sync, has only that name to sync.
 *
 * @param mode  of folders that are made; default 0o777, less the umask
 * @throws what the file system throws
 */
export function makeFolderDurably(path: string, mode = 0o777, calls: FolderCalls = callsWith(mode)): Promise<void> {
  return makeBelow(resolve(path), calls);
}

async function makeBelow(path: string, calls: FolderCalls): Promise<void> {
  const above = dirname(path);
  if (await calls.isFolder(path)) return syncThere(above, calls);
  await makeBelow(above, calls);
  try {
    await calls.make(path);
  } catch (error) {
    // Another process may have been faster.
    if (!(hasCode(error, "EEXIST") && (await calls.isFolder(path)))) throw error;
  }
  await calls.sync(above);
}

/** Of a folder that is there. Who may not read the one above it has not made it. */
async function syncThere(above: string, { sync }: FolderCalls): Promise<void> {
  try {
    await sync(above);
  } catch (error) {
    if (!hasCode(error, "EACCES")) throw error;
  }
}

function callsWith(mode: number): FolderCalls {
  return { make: (path) => mkdir(path, mode), isFolder, sync };
}

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (error) {
    if (hasCode(error, "ENOENT")) return false;
    throw error;
  }
}

async function sync(path: string): Promise<void> {
  const folder = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
