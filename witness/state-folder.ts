/**
 * The witness's files on disk, for one process at a time. The lock is the operating system's (fcntl), taken through an
 * empty LevelDB: it falls with the process, also with `kill -9`, so there is no stale lock to judge.
 */

import { constants } from "node:fs";
import { type FileHandle, mkdir, open, readdir, readFile, rename, rm } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { Level } from "level";
import { StoreError } from "../kernel/errors.ts";
import type { FenceFile } from "./fence.ts";
import type { StateFiles } from "./state-files.ts";

/** Files below a folder that this process has to itself. */
export interface StateFolder extends StateFiles {
  /** Gives the folder up. */
  readonly release: () => Promise<void>;
}

/**
 * Takes the folder, making it if there is none.
 *
 * @throws {StoreError} ERR_FOLDER_LOCKED if another process holds it
 */
export async function openStateFolder(folder: string): Promise<StateFolder> {
  const evidence = resolve(folder, "evidence");
  await syncMade(evidence, await mkdir(evidence, { recursive: true, mode: 0o700 }));
  const unlock = await takeLock(folder);
  const appending = new AppendFiles(folder);
  return {
    read: (name) => readIfThere(join(folder, name)),
    list: (below) => readdir(join(folder, below)),
    replace: async (name, content) => {
      await appending.close(name);
      await replaceDurably(join(folder, name), content);
    },
    append: (name, content, sync) => appending.append(name, content, sync),
    remove: (name) => rm(join(folder, name), { force: true }),
    release: async () => {
      await appending.closeAll();
      await unlock();
    },
  };
}

/** The fence at `path`; its folder must be there, so that a disk that is not mounted is noticed. */
export function openFenceFile(path: string): FenceFile {
  let handle: FileHandle | undefined;
  return {
    read: () => readIfThere(path),
    write: async (bytes, offset) => {
      handle ??= await openOrMake(path);
      await handle.write(bytes, 0, bytes.length, offset);
      await handle.datasync();
    },
    close: async () => {
      await handle?.close();
      handle = undefined;
    },
  };
}

/** Files that stay open for appending until they are replaced. */
class AppendFiles {
  readonly #folder: string;
  readonly #open = new Map<string, { readonly handle: FileHandle; end: number }>();

  constructor(folder: string) {
    this.#folder = folder;
  }

  async append(name: string, content: Uint8Array, sync: boolean): Promise<void> {
    const file = this.#open.get(name) ?? (await this.#begin(name));
    const { bytesWritten } = await file.handle.write(content, 0, content.length, file.end);
    if (bytesWritten !== content.length) throw new Error(`${bytesWritten} of ${content.length} bytes were written`);
    file.end += content.length;
    if (sync) await file.handle.datasync();
  }

  async close(name: string): Promise<void> {
    const file = this.#open.get(name);
    this.#open.delete(name);
    await file?.handle.close();
  }

  async closeAll(): Promise<void> {
    for (const name of [...this.#open.keys()]) await this.close(name);
  }

  async #begin(name: string): Promise<{ readonly handle: FileHandle; end: number }> {
    const handle = await open(join(this.#folder, name), "r+");
    const file = { handle, end: (await handle.stat()).size };
    this.#open.set(name, file);
    return file;
  }
}

/** Its name is durable then, also if an earlier process made it and did not come so far. */
async function openOrMake(path: string): Promise<FileHandle> {
  const handle = await open(path, constants.O_RDWR | constants.O_CREAT, 0o600);
  await syncFolder(dirname(path));
  return handle;
}

async function readIfThere(path: string): Promise<Uint8Array | undefined> {
  try {
    return new Uint8Array(await readFile(path));
  } catch (error) {
    if (hasCode(error, "ENOENT")) return undefined;
    throw error;
  }
}

/** Temporary file, fsync, rename, fsync of the folder: a crash leaves the old content or the new one. */
async function replaceDurably(path: string, content: Uint8Array): Promise<void> {
  const temporary = `${path}.tmp`;
  const file = await open(temporary, "w", 0o600);
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
  await syncFolder(dirname(path));
}

/**
 * Makes the names of folders durable that were made: a witness whose folder a power cut takes back would begin anew, and sign
 * another history.
 *
 * @param outermost  the first of them; undefined if all were there
 */
async function syncMade(folder: string, outermost: string | undefined): Promise<void> {
  if (outermost === undefined) return;
  for (let at = folder; ; at = dirname(at)) {
    await syncFolder(dirname(at));
    if (at === resolve(outermost) || at === dirname(at)) return;
  }
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Takes the folder's lock; fails at once, never waits. Returns what gives it up. */
async function takeLock(folder: string): Promise<() => Promise<void>> {
  const lock = new Level(join(folder, "lock"));
  try {
    await lock.open();
  } catch (cause) {
    throw new StoreError("ERR_FOLDER_LOCKED", "another process runs on this data folder", { cause });
  }
  return () => lock.close();
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
