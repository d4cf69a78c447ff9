/** Reads a file that may not be there. */

import { readFile } from "node:fs/promises";

/** The file's bytes; undefined if there is none. @throws the system's error if it is there and cannot be read */
export async function readIfThere(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}
