/**
 * The salt of a write-ahead log: 8 random bytes that every frame carries and that nobody outside the machine knows. An
 * entry is written as its client chose it, and may hold the bytes of a whole frame; without the salt it would pass for
 * one wherever the reader looks at what an earlier use, or a torn write, left in a file.
 *
 *     wal/salt = u64 salt ‖ u32 crc32c(salt)        big-endian
 *
 * It is made once, durable before the first frame, and never changes. Without it no frame can be told from a client's
 * bytes, so a log that has lost it does not start.
 */

import { randomBytes } from "node:crypto";
import { StoreError } from "../../kernel/errors.ts";
import { crc32c } from "./crc32c.ts";
import type { Disk } from "./disk.ts";
import { replaceFile } from "./durable-file.ts";

/** File of the salt in the data folder. */
export const SALT_PATH = "wal/salt";
/** What frames carry that stand alone in a file, where no reader looks for the next one: the archive's. */
export const NO_SALT = 0n;

const SALT_BYTES = 8;
const FILE_BYTES = SALT_BYTES + 4;

/** The salt in the bytes of the file; undefined if they are damaged. */
export function parseSalt(bytes: Uint8Array): bigint | undefined {
  if (bytes.length !== FILE_BYTES) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(SALT_BYTES) !== crc32c(bytes, 0, SALT_BYTES)) return undefined;
  return view.getBigUint64(0);
}

/** Bytes of the file. */
export function formatSalt(salt: bigint): Uint8Array {
  const bytes = new Uint8Array(FILE_BYTES);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, salt);
  view.setUint32(SALT_BYTES, crc32c(bytes, 0, SALT_BYTES));
  return bytes;
}

/**
 * The salt of the log on `disk`, whose write-ahead folder exists; a new one is made if `isNew`.
 *
 * @param isNew  whether the folder holds no write-ahead file yet
 * @throws {StoreError} ERR_WAL_DAMAGE, fatal: the file is damaged, or it is missing beside write-ahead files
 */
export async function openSalt(disk: Disk, isNew: boolean): Promise<bigint> {
  const bytes = await disk.read(SALT_PATH);
  if (bytes !== undefined) return readSalt(bytes);
  if (!isNew) throw damage("is missing: no frame of the write-ahead log can be told from what clients sent");
  const salt = randomBytes(SALT_BYTES).readBigUInt64BE();
  await replaceFile(disk, { path: SALT_PATH, bytes: formatSalt(salt) });
  return salt;
}

/** The salt in the bytes of the file. @throws {StoreError} ERR_WAL_DAMAGE, fatal */
export function readSalt(bytes: Uint8Array): bigint {
  const salt = parseSalt(bytes);
  if (salt === undefined) throw damage("is damaged");
  return salt;
}

function damage(what: string): StoreError {
  return new StoreError("ERR_WAL_DAMAGE", `${SALT_PATH} ${what}`, { fatal: true });
}
