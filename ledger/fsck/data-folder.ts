/** Reads a data folder without changing it. A file that the disk does not give is a finding, not the end. */

import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { StoreError } from "../../kernel/errors.ts";
import type { Findings } from "./finding.ts";

/** A data folder under examination. */
export interface DataFolder {
  /** Bytes of a file; undefined if there is none, or if it cannot be read, which is then a finding. */
  readonly read: (path: string) => Promise<Uint8Array | undefined>;
  /** Paths of all files below `folder`, sorted; empty if there is no such folder. */
  readonly list: (folder: string) => Promise<readonly string[]>;
  /** Names directly in the data folder. */
  readonly names: readonly string[];
}

/**
 * Opens the data folder at `root` for reading.
 *
 * @throws {StoreError} ERR_FILE_READ if there is no such folder, or nothing of a log in it
 */
export async function openDataFolder(root: string, findings: Findings): Promise<DataFolder> {
  const names = await readdir(root).catch((cause: unknown) => {
    throw new StoreError("ERR_FILE_READ", `cannot read the folder ${root}`, { cause });
  });
  if (!names.includes("wal") && !names.includes("tile") && !names.includes("head")) {
    throw new StoreError("ERR_FILE_READ", `${root} is no data folder: it has neither wal, nor tile, nor head`);
  }
  const read = async (path: string): Promise<Uint8Array | undefined> => {
    try {
      return await readFile(join(root, path));
    } catch (error) {
      if (codeOf(error) !== "ENOENT") findings.add({ path, code: "ERR_FILE_READ", message: String(codeOf(error)) });
      return undefined;
    }
  };
  return { read, names: names.toSorted(), list: async (folder) => (await walk(root, folder)).toSorted() };
}

async function walk(root: string, folder: string): Promise<readonly string[]> {
  const entries = await readdir(join(root, folder), { withFileTypes: true }).catch((error: unknown) => {
    if (codeOf(error) === "ENOENT") return [];
    throw new StoreError("ERR_FILE_READ", `cannot read the folder ${folder}`, { cause: error });
  });
  const found = await Promise.all(
    entries.map(async (entry) => {
      const path = `${folder}/${entry.name}`;
      return entry.isDirectory() ? walk(root, path) : [path];
    }),
  );
  return found.flat();
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : error;
}
