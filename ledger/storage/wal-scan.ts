/**
 * Reads one write-ahead file and judges its end: whole, torn or damaged.
 *
 * A batch is one frame and one sync, and the next batch is written only after that sync. So a bad frame with nothing
 * newer behind it is a write that a crash tore, never acknowledged; a bad frame with a newer one behind it had been
 * acknowledged, and its loss is damage that no replay may step over. A newer one is a frame with the log's salt: what
 * clients sent cannot pass for it.
 */

import { formatUint64 } from "../../kernel/bytes.ts";
import { StoreError } from "../../kernel/errors.ts";
import {
  countEntries,
  type FoundFrame,
  FRAME_HEADER_BYTES,
  FRAME_OFFSETS,
  isFrameType,
  PAYLOAD_HEADER_BYTES,
  readFrame,
} from "./wal-frame.ts";

/** Bytes by which `isTornBatch` judges: without them it is nothing any more. */
export const TORN_HEADER_BYTES: number = FRAME_HEADER_BYTES + PAYLOAD_HEADER_BYTES;

/** Where the next frame must go on. */
export interface WalPosition {
  /** Number that the next batch must have. */
  readonly batch: bigint;
  /** Index that its first entry must have. */
  readonly index: bigint;
}

/** What a file holds. */
export interface WalScan {
  readonly frames: readonly { readonly offset: number; readonly frame: FoundFrame }[];
  /** Where the next frame goes: behind the last whole one. */
  readonly end: number;
  readonly next: WalPosition;
}

/**
 * Reads the frames that continue `from`. Frames with lower batch numbers are left from an earlier use of the file.
 *
 * @throws {StoreError} ERR_WAL_DAMAGE, fatal: a newer frame stands behind a bad one, or indexes do not join
 */
export function scanWal(name: string, bytes: Uint8Array, from: WalPosition, salt: bigint): WalScan {
  const frames: { offset: number; frame: FoundFrame }[] = [];
  let [offset, batch, index] = [0, from.batch, from.index];
  for (;;) {
    const frame = readFrame(bytes, offset, salt);
    if (frame === undefined || frame.batch < batch) break;
    if (frame.batch !== batch) throw damage(name, offset, `want batch ${batch}, got ${frame.batch}`);
    if (frame.firstIndex !== index) throw damage(name, offset, `want entry ${index}, got ${frame.firstIndex}`);
    frames.push({ offset, frame });
    offset += frame.length;
    batch += 1n;
    index += countEntries(frame.records);
  }
  const newer = findNewerFrame(bytes, offset, batch, salt);
  if (newer !== undefined) throw damage(name, offset, `batch ${batch} is bad, a newer one stands at byte ${newer}`);
  return { frames, end: offset, next: { batch, index } };
}

/**
 * Whether behind the last whole batch, at `offset`, stands what is left of the batch `next`: a write that a crash tore, or a last batch
 * that was damaged. Zeros are not, nor what an earlier use of the file left there: this is a header with the log's salt that says
 * in two of three places that it is that batch.
 */
export function isTornBatch(bytes: Uint8Array, offset: number, next: WalPosition, salt: bigint): boolean {
  if (offset + TORN_HEADER_BYTES > bytes.length) return false;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (!isNearly(view.getBigUint64(offset + FRAME_OFFSETS.salt), salt)) return false;
  const signs = [
    isFrameType(view.getUint8(offset + FRAME_OFFSETS.type)),
    view.getBigUint64(offset + FRAME_OFFSETS.batch) === next.batch,
    view.getBigUint64(offset + FRAME_OFFSETS.firstIndex) === next.index,
  ];
  return signs.filter((sign) => sign).length >= 2;
}

/** True if at most one byte differs: a damaged salt is still no guess of a client's. */
function isNearly(a: bigint, b: bigint): boolean {
  let differing = 0;
  for (let rest = a ^ b; rest > 0n; rest >>= 8n) if ((rest & 0xffn) !== 0n) differing += 1;
  return differing <= 1;
}

/** Position of the first frame of a file, if the file begins with one; what it continues is for the caller to know. */
export function firstPosition(bytes: Uint8Array, salt: bigint): WalPosition | undefined {
  const frame = readFrame(bytes, 0, salt);
  return frame === undefined ? undefined : { batch: frame.batch, index: frame.firstIndex };
}

/**
 * Looks at every byte offset for a whole frame of number `batch` or above. Checksums are computed only where salt, type, length
 * and number are all believable.
 */
export function findNewerFrame(bytes: Uint8Array, start: number, batch: bigint, salt: bigint): number | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = bytes.length - FRAME_HEADER_BYTES - PAYLOAD_HEADER_BYTES;
  // A file is mostly zeros when it is young, and the salt is rare: the search for it goes at memory speed.
  const [searched, wanted] = [viewAsBuffer(bytes), formatUint64(salt)];
  for (let found = searched.indexOf(wanted, start + FRAME_OFFSETS.salt); found !== -1; ) {
    const at = found - FRAME_OFFSETS.salt;
    if (at > end) return undefined;
    if (isBelievable(view, at, batch) && readFrame(bytes, at, salt) !== undefined) return at;
    found = searched.indexOf(wanted, found + 1);
  }
  return undefined;
}

/** Length, type and number. */
function isBelievable(view: DataView, at: number, batch: bigint): boolean {
  if (!isFrameType(view.getUint8(at + FRAME_OFFSETS.type))) return false;
  return view.getUint32(at) <= view.byteLength - at && view.getBigUint64(at + FRAME_OFFSETS.batch) >= batch;
}

/** The same memory, which can be searched for more than one byte at a time. */
function viewAsBuffer({ buffer, byteOffset, length }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, length);
}

function damage(name: string, offset: number, what: string): StoreError {
  return new StoreError("ERR_WAL_DAMAGE", `${name} at byte ${offset}: ${what}`, { fatal: true });
}
