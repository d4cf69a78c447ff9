/** Replaces a small file at once or not at all. */

import { open, rename } from "node:fs/promises";
import { join } from "node:path";
import { syncFolder } from "./frame-log.ts";

/** Temporary file, fsync, rename, fsync of the folder; mode 0600. */
export async function writeDurably(folder: string, name: string, content: string | Uint8Array): Promise<void> {
  const temporary = join(folder, `${name}.tmp`);
  const file = await open(temporary, "w", 0o600);
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, join(folder, name));
  await syncFolder(folder);
}
