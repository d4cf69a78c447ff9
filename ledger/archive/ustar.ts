/**
 * The one spelling of a tar file (POSIX ustar) that archives use: plain files, mode 0644, no owner, time zero. A header is
 * read by writing it again and comparing, so there is nothing in it that two readers could understand differently.
 *
 *     header[512] ‖ content ‖ zeros up to a multiple of 512      for each file
 *     zeros[1024]                                                at the end
 */

import { concat, equalBytes, formatUtf8, parseUtf8 } from "../../kernel/bytes.ts";
import { FormatError, invariant } from "../../kernel/errors.ts";
import type { ByteReader } from "../mirror/byte-reader.ts";

const BLOCK = 512;
const MAX_NAME_BYTES = 100;
const NAME_BYTES = { start: 0, end: 100 } as const;
const SIZE_BYTES = { start: 124, end: 135 } as const;
const CHECKSUM_AT = 148;
const END_BLOCKS = 2;

/** One file of a tar. */
export interface TarFile {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** The bytes of one file: header, content, padding. */
export function formatTarFile({ name, bytes }: TarFile): Uint8Array {
  return concat(formatHeader(name, bytes.length), bytes, new Uint8Array(paddingOf(bytes.length)));
}

/** What ends a tar. */
export const TAR_END: Uint8Array = new Uint8Array(END_BLOCKS * BLOCK);

/**
 * Reads the next file.
 *
 * @param maxBytes  bound of its content
 * @returns undefined at the end, behind which nothing may stand
 * @throws {FormatError} ERR_LOG_ARCHIVE
 */
export async function readTarFile(reader: ByteReader, maxBytes: number): Promise<TarFile | undefined> {
  const header = (await reader.take(BLOCK)).slice();
  if (header.every((byte) => byte === 0)) return readEnd(reader);
  const { name, size } = readHeader(header);
  if (size > maxBytes) throw malformed(`${name}: want at most ${maxBytes} bytes, got ${size}`);
  const bytes = (await reader.take(size)).slice();
  if ((await reader.take(paddingOf(size))).some((byte) => byte !== 0)) throw malformed(`${name}: want zeros behind it`);
  return { name, bytes };
}

async function readEnd(reader: ByteReader): Promise<undefined> {
  const rest = await reader.take((END_BLOCKS - 1) * BLOCK);
  if (rest.some((byte) => byte !== 0) || !(await reader.isAtEnd()))
    throw malformed("want two blocks of zeros at the end");
  return undefined;
}

function readHeader(header: Uint8Array): { readonly name: string; readonly size: number } {
  const nameField = header.subarray(NAME_BYTES.start, NAME_BYTES.end);
  const end = nameField.indexOf(0);
  const name = parseName(end === -1 ? nameField : nameField.subarray(0, end));
  const digits = String.fromCharCode(...header.subarray(SIZE_BYTES.start, SIZE_BYTES.end));
  const size = /^[0-7]{11}$/u.test(digits) ? Number.parseInt(digits, 8) : 0;
  if (name !== "" && equalBytes(formatHeader(name, size), header)) return { name, size };
  throw malformed("want the header of a plain file with mode 0644, no owner and time zero");
}

function parseName(bytes: Uint8Array): string {
  const name = parseUtf8(bytes);
  return formatUtf8(name).length <= MAX_NAME_BYTES ? name : "";
}

function formatHeader(name: string, size: number): Uint8Array {
  const nameBytes = formatUtf8(name);
  invariant(nameBytes.length <= MAX_NAME_BYTES && size < 8 ** 11, "formatTarFile: name or size out of range");
  const header = new Uint8Array(BLOCK);
  const put = (offset: number, text: string): void => header.set(formatUtf8(text), offset);
  header.set(nameBytes, NAME_BYTES.start);
  put(100, "0000644\0");
  put(108, "0000000\0");
  put(116, "0000000\0");
  put(SIZE_BYTES.start, `${size.toString(8).padStart(11, "0")}\0`);
  put(136, "00000000000\0");
  put(CHECKSUM_AT, "        ");
  put(156, "0");
  put(257, "ustar\x0000");
  put(329, "0000000\0");
  put(337, "0000000\0");
  const checksum = header.reduce((sum, byte) => sum + byte, 0);
  put(CHECKSUM_AT, `${checksum.toString(8).padStart(6, "0")}\0 `);
  return header;
}

function paddingOf(size: number): number {
  return (BLOCK - (size % BLOCK)) % BLOCK;
}

function malformed(what: string): FormatError {
  return new FormatError("ERR_LOG_ARCHIVE", what);
}
