/** Writes new files in one synchronous run: temporaries, their syncs, renames, and the syncs of the folders. */

import { closeSync, fdatasyncSync, fsyncSync, ftruncateSync, openSync, renameSync, writeSync } from "node:fs";
import { dirname } from "node:path";

/** A file, by its whole path. */
export interface WholeFile {
  readonly path: string;
  readonly bytes: Uint8Array;
}

/**
 * Writes files that are not there; all of them durable when it returns, and each whole or not there at any time. All are written
 * before the first is synced: the disk then takes them together.
 *
 * @throws what the file system throws; temporaries may be left
 */
export function writeNewFiles(files: readonly WholeFile[]): void {
  const open: { readonly descriptor: number; readonly path: string }[] = [];
  try {
    for (const { path, bytes } of files) {
      const descriptor = openSync(temporaryOf(path), "w");
      open.push({ descriptor, path });
      writeEarly(descriptor, path, bytes);
    }
    for (const { descriptor } of open) fdatasyncSync(descriptor);
  } finally {
    for (const { descriptor } of open) closeSync(descriptor);
  }
  for (const { path } of files) renameSync(temporaryOf(path), path);
  for (const folder of new Set(files.map(({ path }) => dirname(path)))) syncFolderNow(folder);
}

/**
 * Cut to nothing before it is written, and closed once behind it: ext4 then gives the file blocks and begins to write them at once
 * (auto_da_alloc), so that the sync of one file commits all of them to the journal and the others find it done. What is durable follows
 * from the syncs alone, and `descriptor`, which stays open, sees what that writing met.
 */
function writeEarly(descriptor: number, path: string, bytes: Uint8Array): void {
  ftruncateSync(descriptor, 0);
  writeWhole(descriptor, bytes);
  closeSync(openSync(temporaryOf(path), "r"));
}

/** Writes all of `bytes` where the file is. A short write is legal: a full disk then fails at the next one. */
export function writeWhole(descriptor: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length; ) done += writeSync(descriptor, bytes, done, bytes.length - done);
}

/** Makes what happened in a folder durable. */
export function syncFolderNow(path: string): void {
  const folder = openSync(path, "r");
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

function temporaryOf(path: string): string {
  return `${path}.tmp`;
}
