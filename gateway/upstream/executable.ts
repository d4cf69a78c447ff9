/** The executable of a child: found as a shell would find it, measured before it is started. */

import { createHash } from "node:crypto";
import { constants, createReadStream } from "node:fs";
import { access, realpath } from "node:fs/promises";
import { delimiter, isAbsolute, join, resolve } from "node:path";
import { pipeline } from "node:stream/promises";
import { StoreError } from "../../kernel/errors.ts";

/**
 * Absolute path of the executable behind `command`, symbolic links followed.
 *
 * @param path  value of PATH, for a command without a slash
 * @throws {StoreError} ERR_UPSTREAM if there is none that may be executed
 */
export async function findExecutable(command: string, path: string, folder: string): Promise<string> {
  const folders = path.split(delimiter).filter((entry) => isAbsolute(entry));
  const candidates = command.includes("/") ? [resolve(folder, command)] : folders.map((entry) => join(entry, command));
  for (const candidate of candidates) {
    try {
      await access(candidate, constants.X_OK);
      return await realpath(candidate);
    } catch {
      // Not here, or not executable: the next folder of PATH.
    }
  }
  throw new StoreError("ERR_UPSTREAM", `no executable ${JSON.stringify(command)} is found`);
}

/**
 * `sha256:<hex>` of the file.
 *
 * @throws {StoreError} ERR_UPSTREAM if it cannot be read
 */
export async function measureFile(path: string): Promise<string> {
  const hash = createHash("sha256");
  try {
    await pipeline(createReadStream(path), hash);
  } catch (cause) {
    throw new StoreError("ERR_UPSTREAM", `cannot measure ${path}`, { cause });
  }
  return `sha256:${hash.digest("hex")}`;
}
