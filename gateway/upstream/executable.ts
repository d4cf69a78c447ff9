/** The executable of a child: found as a shell would find it, measured before it is started. */

import { createHash } from "node:crypto";
import { constants } from "node:fs";
import { access, open, realpath } from "node:fs/promises";
import { delimiter, isAbsolute, join, resolve } from "node:path";
import { StoreError } from "../../kernel/errors.ts";

/** Executables have a hundred megabytes: read through one buffer, they leave no garbage at a start. */
const BUFFER_BYTES = 1024 * 1024;

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
  try {
    return `sha256:${await hashFile(path)}`;
  } catch (cause) {
    throw new StoreError("ERR_UPSTREAM", `cannot measure ${path}`, { cause });
  }
}

async function hashFile(path: string): Promise<string> {
  const hash = createHash("sha256");
  const buffer = new Uint8Array(BUFFER_BYTES);
  const file = await open(path);
  try {
    for (;;) {
      const { bytesRead } = await file.read(buffer, 0, BUFFER_BYTES);
      if (bytesRead === 0) return hash.digest("hex");
      hash.update(buffer.subarray(0, bytesRead));
    }
  } finally {
    await file.close();
  }
}
