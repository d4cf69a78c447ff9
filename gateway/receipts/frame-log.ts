/**
 * Append-only file of frames, the truth of a stream: `u32 length ‖ u32 crc32 ‖ bytes`, big-endian. Opening it reads every
 * frame; a torn last frame (a crash in the middle of a write) is cut off, anything else that does not fit is damage.
 */

import { constants } from "node:fs";
import { type FileHandle, mkdir, open } from "node:fs/promises";
import { dirname } from "node:path";
import { crc32 } from "node:zlib";
import { StoreError } from "../../kernel/errors.ts";

/** The file, as the recorder needs it. */
export interface FrameLog {
  /** Appends the frames in order; durable when it resolves. @throws if they may not be: the state of the file is unknown */
  readonly append: (payloads: readonly Uint8Array[]) => Promise<void>;
  readonly close: () => Promise<void>;
}

/** An opened file and what it held. */
export interface OpenedFrameLog {
  readonly log: FrameLog;
  readonly payloads: readonly Uint8Array[];
}

const HEADER_BYTES = 8;
const MAX_PAYLOAD_BYTES = 65_535;

/**
 * Opens or creates the file at `path`.
 *
 * @param isDurable  false: resolves after the write, survives the process and not the machine
 * @throws {StoreError} ERR_STREAM_FILE if a frame in the middle is damaged
 */
export async function openFrameLog(path: string, isDurable: boolean): Promise<OpenedFrameLog> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const file = await open(path, constants.O_RDWR | constants.O_CREAT, 0o600);
  try {
    const { payloads, end } = scanFrames(new Uint8Array(await file.readFile()), path);
    await file.truncate(end);
    await file.sync();
    await syncFolder(dirname(path));
    return { payloads, log: makeFrameLog(file, end, isDurable) };
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** Reads frames up to the end or to a torn tail. @throws {StoreError} ERR_STREAM_FILE */
export function scanFrames(content: Uint8Array, name: string): { payloads: readonly Uint8Array[]; end: number } {
  const view = new DataView(content.buffer, content.byteOffset, content.byteLength);
  const payloads: Uint8Array[] = [];
  let end = 0;
  while (end + HEADER_BYTES <= content.length) {
    const length = view.getUint32(end);
    const next = end + HEADER_BYTES + length;
    // A crash can leave the file longer than what reached it: zeros, which would read as empty frames.
    if (length === 0 && content.subarray(end).every((byte) => byte === 0)) break;
    if (length === 0 || length > MAX_PAYLOAD_BYTES) throw damaged(name, end);
    if (next > content.length) break;
    const payload = content.slice(end + HEADER_BYTES, next);
    if (crc32(payload) !== view.getUint32(end + 4)) {
      // Whole frames behind a bad one: not a torn write, since writes only append.
      if (next < content.length) throw damaged(name, end);
      break;
    }
    payloads.push(payload);
    end = next;
  }
  return { payloads, end };
}

function makeFrameLog(file: FileHandle, start: number, isDurable: boolean): FrameLog {
  let position = start;
  return {
    append: async (payloads) => {
      const frames = payloads.flatMap((payload) => [headerOf(payload), payload]);
      const bytes = frames.reduce((total, part) => total + part.length, 0);
      const { bytesWritten } = await file.writev(frames, position);
      if (bytesWritten !== bytes) throw new Error(`wrote ${bytesWritten} of ${bytes} bytes`);
      position += bytes;
      if (isDurable) await file.datasync();
    },
    close: () => file.close(),
  };
}

function headerOf(payload: Uint8Array): Uint8Array {
  const header = new Uint8Array(HEADER_BYTES);
  const view = new DataView(header.buffer);
  view.setUint32(0, payload.length);
  view.setUint32(4, crc32(payload));
  return header;
}

/** Makes the name of a new file durable. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

function damaged(name: string, at: number): StoreError {
  return new StoreError("ERR_STREAM_FILE", `${name} is damaged at byte ${at}; restore it or start a new stream`, {
    fatal: true,
  });
}
