/**
 * The body of add-entries (C2SP tlog-mirror):
 *
 *     u16 len ‖ origin ‖ u64 upload_start ‖ u64 upload_end ‖ u16 len ‖ ticket ‖ package ...
 *     package i covers [max(upload_start, r + 256i), min(upload_end, r + 256(i+1)))    r = upload_start rounded down to 256
 *     package = (u16 len ‖ entry) ... ‖ u8 number of hashes (at most 63) ‖ hashes
 *
 * The hashes prove the subtree [r + 256i, end of the package) in the tree of upload_end. A body may carry a prefix of the
 * packages.
 */

import { concat, formatUint16, formatUint64, formatUtf8, parseUtf8 } from "../../kernel/bytes.ts";
import { FormatError } from "../../kernel/errors.ts";
import { HASH_BYTES, type NodeHash, parseNodeHash } from "../../kernel/merkle/hash.ts";
import { TILE_WIDTH } from "../../kernel/tile/coordinates.ts";
import type { ByteReader } from "./byte-reader.ts";

const WIDTH = BigInt(TILE_WIDTH);
const MAX_HASHES = 63;

/** What stands in front of the packages. */
export interface UploadHeader {
  readonly origin: string;
  readonly start: bigint;
  readonly end: bigint;
  /** Opaque to the client; empty at first. */
  readonly ticket: Uint8Array;
}

/** One package, nothing verified. */
export interface Package {
  /** Index of its first entry. */
  readonly start: bigint;
  readonly entries: readonly Uint8Array[];
  readonly proof: readonly NodeHash[];
}

/**
 * Reads what stands in front of the packages.
 *
 * @throws {FormatError} ERR_ADD_ENTRIES (cut, or an empty range), ERR_UTF8
 */
export async function readUploadHeader(reader: ByteReader): Promise<UploadHeader> {
  const origin = parseUtf8(await reader.take(await reader.takeUint16()));
  const [start, end] = [await reader.takeUint64(), await reader.takeUint64()];
  const ticket = (await reader.take(await reader.takeUint16())).slice();
  if (start > end) throw new FormatError("ERR_ADD_ENTRIES", "upload_start: want it at most upload_end");
  return { origin, start, end, ticket };
}

/** Range [start, end) of the package that begins at `start`. */
export function packageEnd(start: bigint, end: bigint): bigint {
  const full = (start / WIDTH + 1n) * WIDTH;
  return full < end ? full : end;
}

/**
 * Reads the package that begins at `start`.
 *
 * @param end  upload_end
 * @throws {FormatError} ERR_ADD_ENTRIES
 */
export async function readPackage(reader: ByteReader, start: bigint, end: bigint): Promise<Package> {
  const entries: Uint8Array[] = [];
  for (let index = start; index < packageEnd(start, end); index += 1n) {
    entries.push((await reader.take(await reader.takeUint16())).slice());
  }
  const count = await reader.takeUint8();
  if (count > MAX_HASHES) throw new FormatError("ERR_ADD_ENTRIES", `want at most ${MAX_HASHES} hashes, got ${count}`);
  const hashes = (await reader.take(count * HASH_BYTES)).slice();
  const proof = Array.from({ length: count }, (_, i) =>
    parseNodeHash(hashes.slice(i * HASH_BYTES, (i + 1) * HASH_BYTES)),
  );
  return { start, entries, proof };
}

/** The bytes that `readUploadHeader` reads. */
export function formatUploadHeader({ origin, start, end, ticket }: UploadHeader): Uint8Array {
  const name = formatUtf8(origin);
  return concat(
    formatUint16(name.length),
    name,
    formatUint64(start),
    formatUint64(end),
    formatUint16(ticket.length),
    ticket,
  );
}

/** The bytes that `readPackage` reads. */
export function formatPackage({ entries, proof }: Omit<Package, "start">): Uint8Array {
  const bodies = entries.flatMap((entry) => [formatUint16(entry.length), entry]);
  return concat(...bodies, Uint8Array.of(proof.length), ...proof);
}
