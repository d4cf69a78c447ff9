/** Files that the command reads and writes: configuration, keys, tokens. Every error names the file. */

import { randomBytes } from "node:crypto";
import { chmodSync, closeSync, fsyncSync, mkdirSync, openSync, readSync, renameSync, rmSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { concatAll, formatUtf8, parseUtf8 } from "../kernel/bytes.ts";
import { FormatError, isCodedError, StoreError } from "../kernel/errors.ts";
import { parseJson } from "../kernel/json/parse.ts";
import type { JsonValue } from "../kernel/json/value.ts";
import { parseSignerKey, type SignerKey } from "../kernel/note/signer-key.ts";
import { parseSecretKey } from "../kernel/signature/secret-key.ts";
import { createSigner, type EnvelopeSigner } from "../kernel/signature/signer.ts";
import { parseDatabaseUrl } from "../ledger/postgres-s3/config.ts";

const MAX_FILE_BYTES = 64 * 1024 * 1024;
const READ_BYTES = 256 * 1024;
const MIN_TOKEN_CHARACTERS = 32;

/**
 * Bytes of the file at `path`, at most 64 MiB.
 *
 * @throws {StoreError} ERR_FILE_READ
 */
export function readBytes(path: string): Uint8Array {
  return readBytesUpTo(path, MAX_FILE_BYTES);
}

/**
 * Bytes of the file at `path`. Of a larger one, or of one without an end, no more than `maxBytes` and one are read.
 *
 * @throws {StoreError} ERR_FILE_READ
 */
export function readBytesUpTo(path: string, maxBytes: number): Uint8Array {
  try {
    return readAtMost(path, maxBytes);
  } catch (cause) {
    throw new StoreError("ERR_FILE_READ", `cannot read ${path}: ${reasonOf(cause)}`, { cause });
  }
}

function readAtMost(path: string, maxBytes: number): Uint8Array {
  const file = openSync(path, "r");
  try {
    const parts: Uint8Array[] = [];
    for (let length = 0; length <= maxBytes; ) {
      const part = new Uint8Array(Math.min(READ_BYTES, maxBytes + 1 - length));
      const taken = readSync(file, part);
      if (taken === 0) return concatAll(parts);
      parts.push(part.slice(0, taken));
      length += taken;
    }
    throw new Error(`larger than ${maxBytes} bytes`);
  } finally {
    closeSync(file);
  }
}

/** Text of the file at `path`, which must be UTF-8. @throws {FormatError} ERR_UTF8, naming the file */
export function readText(path: string): string {
  return naming(path, () => parseUtf8(readBytes(path)));
}

/** Text of a small file without the line end behind its last line. @throws {FormatError} ERR_UTF8, naming the file */
export function readLine(path: string): string {
  return readText(path).replace(/\r?\n$/u, "");
}

/**
 * Reads the JSON file at `path` with `parse`; what `parse` refuses is reported with the file's name.
 *
 * @throws {FormatError} the code of the fault, message `<path>: …`
 */
export function readJsonFile<T>(path: string, parse: (value: JsonValue) => T): T {
  return naming(path, () => parse(parseJson(readBytes(path), { maxBytes: MAX_FILE_BYTES })));
}

/**
 * A bearer token: the one line of the file at `path`, at least 32 characters without white space.
 *
 * @throws {FormatError} ERR_TOKEN_FILE
 */
export function readToken(path: string): string {
  const token = readLine(path);
  if (token.length < MIN_TOKEN_CHARACTERS || /\s/u.test(token)) {
    throw new FormatError("ERR_TOKEN_FILE", `${path}: want one line of at least ${MIN_TOKEN_CHARACTERS} characters`);
  }
  return token;
}

/** The connection string in the file at `path`. @throws {FormatError} ERR_CONFIG, naming the file and not the string */
export function readDatabaseUrl(path: string): string {
  return naming(path, () => parseDatabaseUrl(readLine(path)));
}

/** The note key (`PRIVATE+KEY+…`) in the file at `path`. */
export function readNoteKey(path: string): SignerKey {
  return naming(path, () => parseSignerKey(readLine(path)));
}

/** The envelope key (JSON, kind `secret-key`) in the file at `path`. */
export function readEnvelopeKey(path: string): EnvelopeSigner {
  return naming(path, () => {
    const { alg, secret } = parseSecretKey(readBytes(path));
    return createSigner(alg, secret);
  });
}

/** Writes bytes of a file from `offset` on; returns how many were taken, which may be fewer. */
export type WriteSome = (file: number, bytes: Uint8Array, offset: number) => number;

/**
 * Writes a new file, durable when it returns; refuses to replace one. After a fault nothing is left at `path`: half a
 * file would refuse the next attempt.
 *
 * @param mode  0o600 for what holds a secret
 * @param writeSome  replaced by tests
 * @throws {StoreError} ERR_FILE_WRITE
 */
export function writeNewFile(path: string, text: string, mode: number, writeSome: WriteSome = writeSync): void {
  writeNewBytes(path, formatUtf8(text), mode, writeSome);
}

function writeNewBytes(path: string, content: Uint8Array, mode: number, writeSome: WriteSome): void {
  try {
    const made = mkdirSync(dirname(path), { recursive: true });
    const file = openSync(path, "wx", mode);
    try {
      writeAll(file, content, writeSome);
      fsyncSync(file);
    } catch (error) {
      rmSync(path, { force: true });
      throw error;
    } finally {
      closeSync(file);
    }
    syncFolders(dirname(path), made === undefined ? dirname(path) : dirname(made));
  } catch (cause) {
    throw new StoreError("ERR_FILE_WRITE", `cannot write ${path}: ${reasonOf(cause)}`, { cause });
  }
}

/**
 * Replaces a file at once or not at all, durable when it returns: a new file beside it, synced, renamed over it.
 *
 * @throws {StoreError} ERR_FILE_WRITE
 */
export function replaceFile(path: string, content: Uint8Array, mode: number): void {
  const temporary = `${path}.countersign-${process.pid}.tmp`;
  rmSync(temporary, { force: true });
  writeNewBytes(temporary, content, mode, writeSync);
  try {
    // A new file gets its mode through the umask.
    chmodSync(temporary, mode);
    renameSync(temporary, path);
    syncFolders(dirname(path), dirname(path));
  } catch (cause) {
    rmSync(temporary, { force: true });
    throw new StoreError("ERR_FILE_WRITE", `cannot replace ${path}: ${reasonOf(cause)}`, { cause });
  }
}

/** A short write is legal: goes on where it ended. */
function writeAll(file: number, bytes: Uint8Array, writeSome: WriteSome): void {
  for (let done = 0; done < bytes.length; ) {
    const taken = writeSome(file, bytes, done);
    if (taken === 0) throw new Error("the disk took no bytes");
    done += taken;
  }
}

/** A new name is durable once its folder is synced, and a new folder once the one above it is. */
function syncFolders(from: string, to: string): void {
  const folder = openSync(from, "r");
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
  if (from !== to && from !== dirname(from)) syncFolders(dirname(from), to);
}

/** A new random token: 64 hexadecimal digits. */
export function makeToken(): string {
  return randomBytes(32).toString("hex");
}

/** What the system says against a file, without the name that the message has already: `ENOENT: no such file or directory`. */
function reasonOf(cause: unknown): string {
  const text = cause instanceof Error ? cause.message : String(cause);
  return text.replace(/, [a-z]+(?: '[^']*'(?: -> '[^']*')?)?$/u, "");
}

/** Runs `read` and puts the file's name in front of what it refuses. */
function naming<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!isCodedError(error)) throw error;
    // A file that cannot be read is named by whoever tried.
    if (error.code === "ERR_FILE_READ" || error.message.startsWith(`${path}: `)) throw error;
    throw new FormatError(error.code, `${path}: ${error.message}`, { cause: error });
  }
}
