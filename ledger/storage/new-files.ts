/** Writes new files in one synchronous run: temporaries, their syncs, renames, and the syncs of the folders. */

import { closeSync, fdatasyncSync, fsyncSync, openSync, renameSync, writeSync } from "node:fs";
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
      writeWhole(descriptor, bytes);
    }
    for (const { descriptor } of open) fdatasyncSync(descriptor);
  } finally {
    for (const { descriptor } of open) closeSync(descriptor);
  }
  for (const { path } of files) renameSync(temporaryOf(path), path);
  for (const folder of new Set(files.map(({ path }) => dirname(path)))) syncFolderNow(folder);
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
