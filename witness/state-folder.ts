/**
 * The witness's files on disk, for one process at a time. The lock is the operating system's (fcntl), taken through an
 * empty LevelDB: it falls with the process, also with `kill -9`, so there is no stale lock to judge.
 */

import { constants } from "node:fs";
import { type FileHandle, mkdir, open, readdir, readFile, rename } from "node:fs/promises";
import { join } from "node:path";
import { Level } from "level";
import { StoreError } from "../kernel/errors.ts";
import type { StateFiles } from "./store.ts";

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
  const evidence = join(folder, "evidence");
  await mkdir(evidence, { recursive: true, mode: 0o700 });
  const release = await takeLock(folder);
  return {
    read: (name) => readIfThere(join(folder, name)),
    replace: (name, content) => replaceDurably(folder, name, content),
    listEvidence: () => readdir(evidence),
    addEvidence: (name, content) => replaceDurably(evidence, name, content),
    release,
  };
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
async function replaceDurably(folder: string, name: string, content: Uint8Array): Promise<void> {
  const temporary = join(folder, `${name}.tmp`);
  const file = await open(temporary, "w", 0o600);
  await syncAndClose(file, async () => {
    await file.writeFile(content);
  });
  await rename(temporary, join(folder, name));
  const parent = await open(folder, constants.O_RDONLY | constants.O_DIRECTORY);
  await syncAndClose(parent, async () => undefined);
}

async function syncAndClose(file: FileHandle, write: () => Promise<void>): Promise<void> {
  try {
    await write();
    await file.sync();
  } finally {
    await file.close();
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
