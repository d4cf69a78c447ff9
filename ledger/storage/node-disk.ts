/** The real file system behind `Disk`: node:fs below one data folder. */

import { close, constants, fdatasync, fsync, open, read, write } from "node:fs";
import { readdir, readFile, rename, unlink } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { StoreError } from "../../kernel/errors.ts";
import type { Disk, DiskFile } from "./disk.ts";
import { makeFolderDurably } from "./make-folder.ts";
import type { WholeFile } from "./new-files.ts";

/**
 * @param root  the data folder; it need not exist yet
 * @param writeNew  writes new files by their whole paths; default: each by calls of its own
 */
export function makeNodeDisk(root: string, writeNew?: (files: readonly WholeFile[]) => Promise<void>): Disk {
  const at = (path: string): string => join(root, path);
  // A log never removes a folder: asking the system once is enough.
  const made = new Set<string>();
  return {
    read: (path) => readFileOrNothing(at(path)),
    readKnown: (path, length) => readKnown(at(path), length),
    list: async (folder) => (await readFolderOrNothing(at(folder))).toSorted(),
    makeFolder: async (folder) => {
      if (made.has(folder)) return;
      await makeFolderDurably(at(folder));
      made.add(folder);
    },
    // Keeps the content of an existing file.
    open: async (path) => openFile(at(path)),
    rename: (from, to) => rename(at(from), at(to)),
    remove: (path) => unlinkOrNothing(at(path)),
    syncFolder: (folder) => syncFolder(at(folder)),
    ...(writeNew === undefined
      ? {}
      : { writeNew: (files) => writeNew(files.map(({ path, bytes }) => ({ path: at(path), bytes }))) }),
  };
}

/** Bare descriptors: a tile is five calls, and the objects around a `FileHandle` cost the serving thread more than they do. */
const fd = {
  open: promisify(open),
  read: promisify(read),
  write: promisify(write),
  datasync: promisify(fdatasync),
  sync: promisify(fsync),
  close: promisify(close),
};

async function openFile(path: string): Promise<DiskFile> {
  const file = await fd.open(path, constants.O_RDWR | constants.O_CREAT);
  /** The same file where each write is durable when it returns; opened by the first that wants this. */
  let synced: number | undefined;
  return {
    write: (bytes, offset) => writeAll(file, bytes, offset),
    datasync: () => fd.datasync(file),
    writeSynced: async (bytes, offset) => {
      synced ??= await fd.open(path, constants.O_RDWR | constants.O_DSYNC);
      await writeAll(synced, bytes, offset);
    },
    close: async () => {
      if (synced !== undefined) await fd.close(synced);
      await fd.close(file);
    },
  };
}

/** A short write is legal: go on where it ended, so that a full disk shows as an error and not as a silent hole. */
async function writeAll(file: number, bytes: Uint8Array, offset: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await fd.write(file, bytes, done, bytes.length - done, offset + done);
    if (bytesWritten === 0) throw new StoreError("ERR_STORE_WRITE", "the disk took no bytes", { fatal: true });
    done += bytesWritten;
  }
}

async function readFileOrNothing(path: string): Promise<Uint8Array | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** Two calls are waited for instead of four: what a reader of a proof waits for is their queue, not the disk. */
async function readKnown(path: string, length: number): Promise<Uint8Array | undefined> {
  let file: number;
  try {
    file = await fd.open(path, constants.O_RDONLY);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
  try {
    // One more than there are: a longer file is another one.
    const { bytesRead, buffer } = await fd.read(file, new Uint8Array(length + 1), 0, length + 1, 0);
    return bytesRead === length ? buffer.subarray(0, length) : undefined;
  } finally {
    close(file, () => undefined);
  }
}

async function unlinkOrNothing(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
}

async function readFolderOrNothing(path: string): Promise<string[]> {
  try {
    return await readdir(path);
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await fd.open(path, constants.O_RDONLY);
  try {
    await fd.sync(folder);
  } finally {
    await fd.close(folder);
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}
