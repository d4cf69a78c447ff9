/**
 * Reads one write-ahead file and judges its end: whole, torn or damaged.
 *
 * A batch is one frame and one sync, and the next batch is written only after that sync. So a bad frame with nothing
 * newer behind it is a write that a crash tore, never acknowledged; a bad frame with a newer one behind it had been
 * acknowledged, and its loss is damage that no replay may step over.
 */

import { StoreError } from "../../kernel/errors.ts";
import { countEntries, type FoundFrame, readFrame } from "./wal-frame.ts";

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
export function scanWal(name: string, bytes: Uint8Array, from: WalPosition): WalScan {
  const frames: { offset: number; frame: FoundFrame }[] = [];
  let [offset, batch, index] = [0, from.batch, from.index];
  for (;;) {
    const frame = readFrame(bytes, offset);
    if (frame === undefined || frame.batch < batch) break;
    if (frame.batch !== batch) throw damage(name, offset, `want batch ${batch}, got ${frame.batch}`);
    if (frame.firstIndex !== index) throw damage(name, offset, `want entry ${index}, got ${frame.firstIndex}`);
    frames.push({ offset, frame });
    offset += frame.length;
    batch += 1n;
    index += countEntries(frame.records);
  }
  const newer = findNewerFrame(bytes, offset, batch);
  if (newer !== undefined) throw damage(name, offset, `batch ${batch} is bad, a newer one stands at byte ${newer}`);
  return { frames, end: offset, next: { batch, index } };
}

/** Position of the first frame of a file, if the file begins with one; what it continues is for the caller to know. */
export function firstPosition(bytes: Uint8Array): WalPosition | undefined {
  const frame = readFrame(bytes, 0);
  return frame === undefined ? undefined : { batch: frame.batch, index: frame.firstIndex };
}

/**
 * Looks at every byte offset for a whole frame of number `batch` or above. Cheap fields are looked at first: checksums
 * are computed only where length, type and number are all believable.
 */
export function findNewerFrame(bytes: Uint8Array, start: number, batch: bigint): number | undefined {
  const [low, high] = [Number(batch), Number(batch) + 0x1_0000_0000];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  // A file is mostly zeros when it is young: the search for the type's byte skips them at memory speed.
  for (let type = bytes.indexOf(1, start + 8); type !== -1; type = bytes.indexOf(1, type + 1)) {
    const at = type - 8;
    if (at + 25 > bytes.length) return undefined;
    if (view.getUint32(at) > bytes.length - at) continue;
    const number = view.getUint32(at + 9) * 0x1_0000_0000 + view.getUint32(at + 13);
    if (number >= low && number < high && readFrame(bytes, at) !== undefined) return at;
  }
  return undefined;
}

function damage(name: string, offset: number, what: string): StoreError {
  return new StoreError("ERR_WAL_DAMAGE", `${name} at byte ${offset}: ${what}`, { fatal: true });
}
