/**
 * What the ledger asks of a file system, small enough that a test can put faults behind every call.
 *
 * Paths are relative to the data folder and use `/`. A call that rejects leaves the disk in an unknown state: the caller
 * stops and lets recovery decide.
 */

/** An open file that is written at explicit offsets. */
export interface DiskFile {
  /** Writes all of `bytes` at `offset`; not durable before `datasync` resolves. */
  readonly write: (bytes: Uint8Array, offset: number) => Promise<void>;
  /** Makes every completed write durable (fdatasync). */
  readonly datasync: () => Promise<void>;
  /**
   * Both at once, where there is such a call (O_DSYNC): who waits for two by turns also waits for whatever the thread does between
   * them. Fails as either does.
   */
  readonly writeSynced?: (bytes: Uint8Array, offset: number) => Promise<void>;
  readonly close: () => Promise<void>;
}

/** Writes all of `bytes`; durable when it resolves. */
export async function writeSynced(file: DiskFile, bytes: Uint8Array, offset: number): Promise<void> {
  if (file.writeSynced !== undefined) return file.writeSynced(bytes, offset);
  await file.write(bytes, offset);
  await file.datasync();
}

/** The file system below the data folder. */
export interface Disk {
  /** Content of a file, or undefined if there is none. */
  readonly read: (path: string) => Promise<Uint8Array | undefined>;
  /**
   * The same for a file that is known to have `length` bytes, where there is a shorter way; undefined also if it gives another number of
   * bytes: then `read` decides.
   */
  readonly readKnown?: (path: string, length: number) => Promise<Uint8Array | undefined>;
  /** Names in a folder, sorted; empty if there is no such folder. */
  readonly list: (folder: string) => Promise<readonly string[]>;
  /** Creates the folder and those above it, durably. */
  readonly makeFolder: (folder: string) => Promise<void>;
  /** Opens a file for writing; creates it if it is missing. Creation is durable after `syncFolder`. */
  readonly open: (path: string) => Promise<DiskFile>;
  /** Renames over an existing file; durable after `syncFolder`. */
  readonly rename: (from: string, to: string) => Promise<void>;
  /** Removes a file; no error if it is missing. */
  readonly remove: (path: string) => Promise<void>;
  /** Makes creations, renames and removals inside the folder durable (fsync of the folder). */
  readonly syncFolder: (folder: string) => Promise<void>;
  /** Writes files that are not there, in folders that are, each as one that appears at once; all of them durable. Where it is cheap. */
  readonly writeNew?: (files: readonly NewFile[]) => Promise<void>;
}

/** One file to write. */
export interface NewFile {
  readonly path: string;
  readonly bytes: Uint8Array;
}

/** Folder of a relative path; "" for a name without folder. */
export function folderOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf("/")));
}
