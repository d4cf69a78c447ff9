/**
 * The format of a leaf table: which entry of a run of the log has a leaf hash. A file never changes once it has its name; it
 * holds no truth, since every leaf stands in a hash tile too.
 *
 *     table  = page ... ‖ fences ‖ footer
 *     page   = record ... ‖ u32 CRC-32 of the records     341 records are 4,096 bytes; the last page may have fewer
 *     record = first 8 bytes of the leaf hash ‖ u32 (index - first)     in ascending order of all 12 bytes
 *     fences = for each page the first 8 bytes of its first record
 *     footer = "csleaf1\n" ‖ u64 first ‖ u32 count ‖ root ‖ u32 CRC-32 of fences and footer up to here
 *
 * Integers are big-endian. `count` is a power of two and `first` a multiple of it, so that `root`, 32 bytes, is one node of the
 * log's tree and binds the table to the log. The name is `<first, 16 digits>-<log2 count, 2 digits>.leaves`.
 */

import { crc32 } from "node:zlib";
import { equalBytes, formatUtf8 } from "../../kernel/bytes.ts";
import { FormatError } from "../../kernel/errors.ts";
import { HASH_BYTES, type NodeHash, parseNodeHash } from "../../kernel/merkle/hash.ts";

/** Bytes of a record. */
export const RECORD_BYTES = 12;
/** Records of a page that is not the last. */
export const PAGE_RECORDS = 341;
const CHECKSUM_BYTES = 4;
/** Bytes of a page that is not the last. */
export const PAGE_BYTES: number = PAGE_RECORDS * RECORD_BYTES + CHECKSUM_BYTES;
const FENCE_BYTES = 8;
const MAGIC = formatUtf8("csleaf1\n");
const [FIRST_AT, COUNT_AT, ROOT_AT] = [8, 16, 20];
const CHECKSUM_AT = ROOT_AT + HASH_BYTES;
const FOOTER_BYTES = CHECKSUM_AT + CHECKSUM_BYTES;
const MAX_COUNT_LOG2 = 31;
const NAME = /^(\d{16})-(\d\d)\.leaves$/;

/** What a table covers: leaves [first, first + count). */
export interface LeafRange {
  readonly first: number;
  /** A power of two, up to 2^31, of which `first` is a multiple. */
  readonly count: number;
}

/** A range, and the root of the tree over its leaves. */
export interface RootedRange extends LeafRange {
  readonly root: NodeHash;
}

/** The first halves and the second halves of the fences, one of each a page. */
export interface Fences {
  readonly high: Uint32Array;
  readonly low: Uint32Array;
}

/** Name of the table of a range. */
export function formatTableName({ first, count }: LeafRange): string {
  return `${String(first).padStart(16, "0")}-${String(Math.log2(count)).padStart(2, "0")}.leaves`;
}

/** The range that a name stands for; undefined if it is no name of a table. */
export function parseTableName(name: string): LeafRange | undefined {
  const [, first, log2] = NAME.exec(name) ?? [];
  if (first === undefined || log2 === undefined || Number(log2) > MAX_COUNT_LOG2) return undefined;
  const range = { first: Number(first), count: 2 ** Number(log2) };
  return Number.isSafeInteger(range.first + range.count) && range.first % range.count === 0 ? range : undefined;
}

/** Number of pages of a table of so many records. */
export function countPages(count: number): number {
  return Math.ceil(count / PAGE_RECORDS);
}

/** Where a page is, with its checksum; the last one may be shorter. */
export function pageRange(page: number, count: number): { readonly at: number; readonly bytes: number } {
  const records = Math.min(PAGE_RECORDS, count - page * PAGE_RECORDS);
  return { at: page * PAGE_BYTES, bytes: records * RECORD_BYTES + CHECKSUM_BYTES };
}

/** Where fences and footer are. */
export function tailRange(count: number): { readonly at: number; readonly bytes: number } {
  const pages = countPages(count);
  return { at: count * RECORD_BYTES + pages * CHECKSUM_BYTES, bytes: pages * FENCE_BYTES + FOOTER_BYTES };
}

/** Bytes of the whole table. */
export function tableBytes(count: number): number {
  const { at, bytes } = tailRange(count);
  return at + bytes;
}

/** Writes the checksum behind the records of a page. @param page  records and room for the checksum */
export function sealPage(page: Uint8Array): void {
  const end = page.length - CHECKSUM_BYTES;
  viewOf(page).setUint32(end, crc32(page.subarray(0, end)));
}

/**
 * The records of a page.
 *
 * @param page  with its checksum
 * @throws {FormatError} ERR_INDEX_ROW if they are not what the checksum and the fence say
 */
export function openPage(page: Uint8Array, fences: Fences, number: number): DataView {
  const view = viewOf(page);
  const end = page.length - CHECKSUM_BYTES;
  const isRight =
    view.getUint32(end) === crc32(page.subarray(0, end)) &&
    view.getUint32(0) === fences.high[number] &&
    view.getUint32(4) === fences.low[number];
  if (!isRight) throw new FormatError("ERR_INDEX_ROW", `page ${number} of a leaf table is damaged`);
  return new DataView(page.buffer, page.byteOffset, end);
}

/** Fences and footer of a table. */
export function formatTail({ first, count, root }: RootedRange, fences: Fences): Uint8Array {
  const { bytes: length } = tailRange(count);
  const tail = new Uint8Array(length);
  const view = viewOf(tail);
  for (const [i, high] of fences.high.entries()) {
    view.setUint32(i * FENCE_BYTES, high);
    view.setUint32(i * FENCE_BYTES + 4, fences.low[i] ?? 0);
  }
  const at = length - FOOTER_BYTES;
  tail.set(MAGIC, at);
  view.setBigUint64(at + FIRST_AT, BigInt(first));
  view.setUint32(at + COUNT_AT, count);
  tail.set(root, at + ROOT_AT);
  view.setUint32(at + CHECKSUM_AT, crc32(tail.subarray(0, at + CHECKSUM_AT)));
  return tail;
}

/**
 * Reads what `formatTail` wrote.
 *
 * @throws {FormatError} ERR_INDEX_ROW if it is damaged, or of another range than the name says
 */
export function parseTail(tail: Uint8Array, range: LeafRange): { readonly root: NodeHash; readonly fences: Fences } {
  const pages = countPages(range.count);
  const at = pages * FENCE_BYTES;
  const view = viewOf(tail);
  const isRight =
    tail.length === tailRange(range.count).bytes &&
    equalBytes(tail.subarray(at, at + FIRST_AT), MAGIC) &&
    view.getUint32(at + CHECKSUM_AT) === crc32(tail.subarray(0, at + CHECKSUM_AT)) &&
    view.getBigUint64(at + FIRST_AT) === BigInt(range.first) &&
    view.getUint32(at + COUNT_AT) === range.count;
  if (!isRight) throw new FormatError("ERR_INDEX_ROW", "the end of a leaf table is damaged");
  const fences = { high: new Uint32Array(pages), low: new Uint32Array(pages) };
  for (let i = 0; i < pages; i += 1) {
    fences.high[i] = view.getUint32(i * FENCE_BYTES);
    fences.low[i] = view.getUint32(i * FENCE_BYTES + 4);
  }
  return { root: parseNodeHash(tail.slice(at + ROOT_AT, at + CHECKSUM_AT)), fences };
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
