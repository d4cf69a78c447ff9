/**
 * Bytes of the write-ahead log. One frame is one batch: everything that one sync made durable.
 *
 *     frame   = u32 length of payload ‖ u32 checksum of (type ‖ payload) ‖ u8 type ‖ payload
 *     payload = u64 salt ‖ u64 batch number ‖ u64 index of the first entry ‖ record ...
 *     record  = u8 kind ‖ u32 length ‖ bytes        kind 1 entry, 2 signed segment, 3 conflicting receipt
 *
 * The checksum is CRC-32 (zlib's) in frames of type 2, which are written, and CRC-32C in those of type 1, which earlier
 * versions wrote. Integers are big-endian. Batch numbers count up by one, so a file may be reused: frames that an earlier
 * use left behind have lower numbers. A length of zero ends the file. The salt (wal-salt.ts) is the log's own secret:
 * without it an entry that a client composed could hold the bytes of a frame.
 */

import { crc32 } from "node:zlib";
import { type EntryRanges, entryAt } from "../../kernel/merkle/hash.ts";
import { crc32c } from "./crc32c.ts";

/** Bytes before the payload. */
export const FRAME_HEADER_BYTES = 9;
/** Longest payload that a reader believes. */
export const MAX_PAYLOAD_BYTES: number = 64 * 1024 * 1024;

/** Bytes of the payload before the first record: salt, batch number, index. */
export const PAYLOAD_HEADER_BYTES = 24;
const RECORD_HEADER_BYTES = 5;
/** Offsets in a frame. */
export const FRAME_OFFSETS = { checksum: 4, type: 8, salt: 9, batch: 17, firstIndex: 25 } as const;

/** Types of frames, by their checksum. */
export const FRAME_TYPES = { crc32c: 1, crc32: 2 } as const;

/** A type of frame. */
export type FrameType = (typeof FRAME_TYPES)[keyof typeof FRAME_TYPES];

/** True for a type of frame. */
export function isFrameType(type: number): type is FrameType {
  return type === FRAME_TYPES.crc32c || type === FRAME_TYPES.crc32;
}

const NO_MEMORY = new Uint8Array(0);
const RECORD_KINDS = { entry: 1, segment: 2, conflict: 3 } as const;

/** What a record holds: an entry of the log; a segment envelope that brought entries; a refused receipt of a fork. */
export type RecordKind = keyof typeof RECORD_KINDS;

/** One record of a batch. */
export interface WalRecord {
  readonly kind: RecordKind;
  readonly bytes: Uint8Array;
}

/** What one sync makes durable. */
export interface WalBatch {
  /** Counts batches from 1. */
  readonly batch: bigint;
  /** Index of the first entry among the records; the size of the log before this batch. */
  readonly firstIndex: bigint;
  readonly records: readonly WalRecord[];
}

/** A frame found in a file. */
export interface FoundFrame extends WalBatch {
  /** Bytes of the whole frame. */
  readonly length: number;
}

/** What a frame is made of: one record, or entries that lie in one memory, a record each. */
export type FramePart = WalRecord | EntryRanges;

/** A batch to write. */
export interface FrameContent extends Omit<WalBatch, "records"> {
  readonly records: readonly FramePart[];
}

/**
 * The frame of a batch: one copy of every record. The entries of the result are in the frame's own bytes.
 *
 * @param memory  for the frame, if it is large enough
 */
export function formatFrame(
  { batch, firstIndex, records }: FrameContent,
  salt: bigint,
  type: FrameType = FRAME_TYPES.crc32,
  memory: Uint8Array = NO_MEMORY,
): { readonly bytes: Uint8Array; readonly entries: EntryRanges } {
  const payloadBytes = PAYLOAD_HEADER_BYTES + bytesOfRecords(records);
  const length = FRAME_HEADER_BYTES + payloadBytes;
  const frame = memory.length < length ? new Uint8Array(length) : memory.subarray(0, length);
  const view = new DataView(frame.buffer, frame.byteOffset, length);
  view.setUint32(0, payloadBytes);
  view.setUint8(FRAME_OFFSETS.type, type);
  view.setBigUint64(FRAME_OFFSETS.salt, salt);
  view.setBigUint64(FRAME_OFFSETS.batch, batch);
  view.setBigUint64(FRAME_OFFSETS.firstIndex, firstIndex);
  const entries = writeRecords(frame, FRAME_HEADER_BYTES + PAYLOAD_HEADER_BYTES, records);
  view.setUint32(FRAME_OFFSETS.checksum, checksumOf(type, frame, FRAME_OFFSETS.type, frame.length));
  return { bytes: frame, entries };
}

function bytesOfRecords(records: readonly FramePart[]): number {
  let total = 0;
  for (const part of records) {
    if ("kind" in part) total += RECORD_HEADER_BYTES + part.bytes.length;
    else for (let i = 0; i < part.starts.length; i += 1) total += RECORD_HEADER_BYTES + lengthOf(part, i);
  }
  return total;
}

/** @returns where in the frame the entries are */
function writeRecords(frame: Uint8Array, start: number, records: readonly FramePart[]): EntryRanges {
  const count = Number(countEntries(records));
  const entries = { bytes: frame, starts: new Uint32Array(count), ends: new Uint32Array(count) };
  let [at, index] = [start, 0];
  for (const part of records) {
    if (!("kind" in part)) {
      at = writeEntries(entries, index, at, part);
      index += part.starts.length;
      continue;
    }
    writeHeader(frame, at, part.kind, part.bytes.length);
    at += RECORD_HEADER_BYTES;
    frame.set(part.bytes, at);
    at += part.bytes.length;
    if (part.kind !== "entry") continue;
    [entries.starts[index], entries.ends[index]] = [at - part.bytes.length, at];
    index += 1;
  }
  return entries;
}

/**
 * Writes the records of entries from byte `start` on, and notes where they are.
 *
 * All are copied at once to the end of the place that they will take, and each is moved from there to behind its header. It is behind
 * what is written before it as long as no two have more between them than a header takes.
 */
function writeEntries(to: EntryRanges, first: number, start: number, from: EntryRanges): number {
  const { bytes: frame } = to;
  const count = from.starts.length;
  const [begin, end] = [from.starts[0] ?? 0, from.ends[count - 1] ?? 0];
  const behind = start + bytesOfRecords([from]);
  const isDense = end - begin <= behind - start && areClose(from);
  if (isDense) frame.set(from.bytes.subarray(begin, end), behind - (end - begin));
  let at = start;
  for (let i = 0; i < count; i += 1) {
    const length = lengthOf(from, i);
    const source = behind - end + (from.starts[i] ?? 0);
    writeHeader(frame, at, "entry", length);
    at += RECORD_HEADER_BYTES;
    if (isDense) frame.copyWithin(at, source, source + length);
    else frame.set(entryAt(from, i), at);
    to.starts[first + i] = at;
    at += length;
    to.ends[first + i] = at;
  }
  return at;
}

/** True if between two entries there is never more than the header of a record, and none begins before the end of another. */
function areClose({ starts, ends }: EntryRanges): boolean {
  for (let i = 1; i < starts.length; i += 1) {
    const gap = (starts[i] ?? 0) - (ends[i - 1] ?? 0);
    if (gap < 0 || gap > RECORD_HEADER_BYTES) return false;
  }
  return true;
}

function writeHeader(frame: Uint8Array, at: number, kind: RecordKind, length: number): void {
  frame[at] = RECORD_KINDS[kind];
  frame[at + 1] = length >>> 24;
  frame[at + 2] = length >>> 16;
  frame[at + 3] = length >>> 8;
  frame[at + 4] = length;
}

function lengthOf({ starts, ends }: EntryRanges, i: number): number {
  return (ends[i] ?? 0) - (starts[i] ?? 0);
}

/**
 * The whole frame of the log with this salt at `offset` of `bytes`, or undefined if the bytes there are none: cut,
 * damaged, or something else.
 */
export function readFrame(bytes: Uint8Array, offset: number, salt: bigint): FoundFrame | undefined {
  if (offset + FRAME_HEADER_BYTES + PAYLOAD_HEADER_BYTES > bytes.length) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const payloadBytes = view.getUint32(offset);
  const end = offset + FRAME_HEADER_BYTES + payloadBytes;
  if (payloadBytes < PAYLOAD_HEADER_BYTES || payloadBytes > MAX_PAYLOAD_BYTES || end > bytes.length) return undefined;
  const type = view.getUint8(offset + FRAME_OFFSETS.type);
  if (!isFrameType(type) || view.getBigUint64(offset + FRAME_OFFSETS.salt) !== salt) return undefined;
  const checksum = checksumOf(type, bytes, offset + FRAME_OFFSETS.type, end);
  if (view.getUint32(offset + FRAME_OFFSETS.checksum) !== checksum) return undefined;
  const records = readRecords(bytes, offset + FRAME_HEADER_BYTES + PAYLOAD_HEADER_BYTES, end);
  if (records === undefined) return undefined;
  return {
    batch: view.getBigUint64(offset + FRAME_OFFSETS.batch),
    firstIndex: view.getBigUint64(offset + FRAME_OFFSETS.firstIndex),
    records,
    length: end - offset,
  };
}

function readRecords(bytes: Uint8Array, start: number, end: number): readonly WalRecord[] | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const records: WalRecord[] = [];
  for (let at = start; at < end; ) {
    if (at + RECORD_HEADER_BYTES > end) return undefined;
    const kind = kindOf(view.getUint8(at));
    const from = at + RECORD_HEADER_BYTES;
    at = from + view.getUint32(at + 1);
    if (kind === undefined || at > end) return undefined;
    records.push({ kind, bytes: bytes.subarray(from, at) });
  }
  return records;
}

/** Checksum of bytes [start, end): that of zlib is of the C library, and ten times as fast. */
function checksumOf(type: FrameType, bytes: Uint8Array, start: number, end: number): number {
  return type === FRAME_TYPES.crc32c ? crc32c(bytes, start, end) : crc32(bytes.subarray(start, end));
}

function kindOf(code: number): RecordKind | undefined {
  if (code === RECORD_KINDS.entry) return "entry";
  if (code === RECORD_KINDS.segment) return "segment";
  return code === RECORD_KINDS.conflict ? "conflict" : undefined;
}

/** Number of entries among the records. */
export function countEntries(records: readonly FramePart[]): bigint {
  let count = 0;
  for (const record of records) {
    if (!("kind" in record)) count += record.starts.length;
    else if (record.kind === "entry") count += 1;
  }
  return BigInt(count);
}
