/** A file that is written part by part, and appears whole and synced or not at all; never over another. */

import { open, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { StoreError } from "../kernel/errors.ts";

/**
 * Writes parts as they come, with the modes of a file that anybody may read.
 *
 * @returns bytes written
 * @throws {StoreError} ERR_FILE_WRITE if the file is there
 */
export async function writeParts(path: string, parts: AsyncIterable<Uint8Array>): Promise<number> {
  if ((await stat(path).catch(() => undefined)) !== undefined) {
    throw new StoreError("ERR_FILE_WRITE", `${path} exists`);
  }
  const temporary = join(dirname(path), `.${basename(path)}.tmp`);
  const file = await open(temporary, "w", 0o644);
  let written = 0;
  try {
    for await (const part of parts) {
      await file.writeFile(part);
      written += part.length;
    }
    await file.sync();
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  } finally {
    await file.close();
  }
  await rename(temporary, path);
  return written;
}
