/**
 * Append-only file of frames: `u32 head ‖ u32 crc32 ‖ bytes`, big-endian. The head is the length, with its highest bit set
 * on the first frame of each append. What is appended together is synced together, so a crash or a power cut can tear
 * the frames of the last append only, in any order: from the first torn one on they are cut off, none of them was ever
 * answered for. A frame that does not hold and has a later append behind it is damage. Behind the last frame of an open file, or
 * one whose writer was killed, there may be zeros (zeros-ahead.ts).
 */

import { constants, writeSync } from "node:fs";
import { type FileHandle, mkdir, open } from "node:fs/promises";
import { dirname } from "node:path";
import { crc32 } from "node:zlib";
import { invariant, StoreError } from "../../kernel/errors.ts";
import { type ZeroedFile, ZerosAhead } from "./zeros-ahead.ts";

/** One file of frames, open at its end. */
export interface FrameLog {
  /** Appends the frames in order; durable when it resolves. @throws if they may not be: the state of the file is unknown */
  readonly append: (payloads: readonly Uint8Array[]) => Promise<void>;
  /** Ends the file behind its last frame and makes all of it durable, whatever the durability of appends is. */
  readonly finish: () => Promise<void>;
  /** Lets another one append, within the bytes that the file has already, until `takeBack`. */
  readonly lend: () => FrameRoom;
  /**
   * Goes on where the other one has stopped.
   *
   * @param end  where his last frame ends; undefined if he appended nothing
   * @throws {BugError} if he had no place there
   */
  readonly takeBack: (end: number | undefined) => void;
  /** Ends the file behind its last frame, unless it is lent: then the end is another one's. */
  readonly close: () => Promise<void>;
}

/** Bytes of a file that frames may be written over; none if `to` is not above `from`. */
export interface FrameRoom {
  /** Where the last frame ends. */
  readonly from: number;
  readonly to: number;
}

/** An opened file and what it held. */
export interface OpenedFrameLog {
  readonly log: FrameLog;
  readonly payloads: readonly Uint8Array[];
  /** Length of the file. */
  readonly bytes: number;
}

/** Bytes of a frame beside its payload. */
export const FRAME_HEADER_BYTES = 8;
/** Most bytes of a payload. */
export const MAX_PAYLOAD_BYTES = 65_535;
/** Linux: a write is durable when it returns, in one call instead of two. Elsewhere the flag is missing or means less than a sync. */
const SYNCED_WRITES = process.platform === "linux" ? constants.O_DSYNC : 0;
const FIRST_OF_APPEND = 0x8000_0000;

/** How the frames of a file are appended. */
export interface Appending {
  /** False: an append resolves after the write, survives the process and not the machine. */
  readonly isDurable: boolean;
  /**
   * Whose thread writes: the runtime's pool, or the one that calls. A thread with nothing else to do meanwhile saves the way to
   * another one and back.
   */
  readonly writesOn: "pool" | "caller";
}

/** Opens or creates the file at `path`. @throws {StoreError} ERR_STREAM_FILE if a frame in the middle is damaged */
export async function openFrameLog(path: string, appending: Appending): Promise<OpenedFrameLog> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const file = await open(path, constants.O_RDWR | constants.O_CREAT | flagsOf(appending), 0o600);
  try {
    const content = new Uint8Array(await file.readFile());
    const { payloads, end, lastAppend } = scanFrames(content, path);
    // What the run before could not sync is read back all the same, and the system thinks it written: it is written once more.
    await writeWhole(file, content.subarray(lastAppend, end), lastAppend);
    await file.truncate(end);
    await file.sync();
    await syncFolder(dirname(path));
    return { payloads, bytes: end, log: makeFrameLog(file, end, appending) };
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** Opens the file at `path` at `end`, where its last frame is known to end. */
export async function resumeFrameLog(path: string, end: number, appending: Appending): Promise<FrameLog> {
  return makeFrameLog(await open(path, constants.O_RDWR | flagsOf(appending)), end, appending);
}

/** Opens the file at `path`, whose end is lent by the log that has it open; `takeBack` says where that is. */
export async function borrowFrameLog(path: string, appending: Appending): Promise<FrameLog> {
  const file = await open(path, constants.O_RDWR | flagsOf(appending));
  return makeFrameLog(file, 0, appending, { isBorrowed: true });
}

function flagsOf({ isDurable }: Appending): number {
  return isDurable ? SYNCED_WRITES : 0;
}

/** What is in a file of frames. */
export interface ScannedFrames {
  readonly payloads: readonly Uint8Array[];
  /** Where the last frame ends, and where the frames begin that were appended together with it. */
  readonly end: number;
  readonly lastAppend: number;
}

/** Reads frames up to the end or to a torn tail. @throws {StoreError} ERR_STREAM_FILE */
export function scanFrames(content: Uint8Array, name: string): ScannedFrames {
  const payloads: Uint8Array[] = [];
  let [end, lastAppend] = [0, 0];
  for (let frame = frameAt(content, end); frame !== undefined; frame = frameAt(content, end)) {
    payloads.push(frame);
    if ((content[end] ?? 0) >= FIRST_OF_APPEND / 2 ** 24) lastAppend = end;
    end += FRAME_HEADER_BYTES + frame.length;
  }
  if (hasAppendBehind(content, end)) throw damaged(name, end);
  return { payloads, end, lastAppend };
}

async function writeWhole(file: FileHandle, bytes: Uint8Array, at: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, at + done);
    done += bytesWritten;
  }
}

/** Payload of the frame at an offset; undefined if no whole frame is there. */
export function frameAt(content: Uint8Array, at: number): Uint8Array | undefined {
  const end = frameEndAt(content, at);
  return end === undefined ? undefined : content.slice(at + FRAME_HEADER_BYTES, end);
}

/** Where the frame at an offset ends; undefined if no whole frame is there. */
export function frameEndAt(content: Uint8Array, at: number): number | undefined {
  if (at + FRAME_HEADER_BYTES > content.length) return undefined;
  const view = new DataView(content.buffer, content.byteOffset + at, FRAME_HEADER_BYTES);
  const head = view.getUint32(0);
  const length = head >= FIRST_OF_APPEND ? head - FIRST_OF_APPEND : head;
  const start = at + FRAME_HEADER_BYTES;
  // A crash can leave the file longer than what reached it: zeros, which would read as empty frames.
  if (length === 0 || length > MAX_PAYLOAD_BYTES || start + length > content.length) return undefined;
  return crc32(content.subarray(start, start + length)) === view.getUint32(4) ? start + length : undefined;
}

/** Whether a whole first frame of an append stands anywhere behind an offset. Payloads are text: the pattern is not in them. */
function hasAppendBehind(content: Uint8Array, from: number): boolean {
  for (let at = content.indexOf(0x80, from + 1); at >= 0; at = content.indexOf(0x80, at + 1)) {
    if (content[at + 1] === 0 && frameAt(content, at) !== undefined) return true;
  }
  return false;
}

/** What a log does with its file. */
interface LogFile extends ZeroedFile, Pick<FileHandle, "datasync" | "sync" | "truncate" | "close"> {
  readonly write: (bytes: Uint8Array, at: number) => Promise<{ readonly bytesWritten: number }>;
}

/** The file, written by the runtime's pool. */
function writingInPool(file: FileHandle): LogFile {
  return {
    write: (bytes, at) => file.write(bytes, 0, bytes.length, at),
    writeZeros: (zeros, at) => file.write(zeros, 0, zeros.length, at),
    datasync: () => file.datasync(),
    sync: () => file.sync(),
    truncate: (length) => file.truncate(length),
    close: () => file.close(),
  };
}

/** The file, written on the thread that calls; zeros are not waited for. */
function writingHere(file: FileHandle): LogFile {
  const write: LogFile["write"] = async (bytes, at) => ({
    bytesWritten: writeSync(file.fd, bytes, 0, bytes.length, at),
  });
  return { ...writingInPool(file), write };
}

function makeFrameLog(
  handle: FileHandle,
  start: number,
  { isDurable, writesOn }: Appending,
  { isBorrowed } = { isBorrowed: false },
): FrameLog {
  const file = writesOn === "caller" ? writingHere(handle) : writingInPool(handle);
  // A write that has returned may not be durable yet, and shall be.
  const isSyncedApart = isDurable && SYNCED_WRITES === 0;
  // Whoever borrows the end has the lender's zeros.
  const zeros = isDurable && !isSyncedApart && !isBorrowed ? new ZerosAhead(file, start) : undefined;
  let position = start;
  let isLent = isBorrowed;
  const scratch = new Scratch();
  const cut = async (): Promise<void> => {
    await zeros?.finish();
    await file.truncate(position);
  };
  return {
    append: async (payloads) => {
      invariant(!isLent, "a frame log that is lent appends nothing");
      const frames = framesOf(payloads, scratch);
      const waits = zeros?.before(position + frames.length);
      if (waits !== undefined) await waits;
      const { bytesWritten } = await file.write(frames, position);
      if (bytesWritten !== frames.length) throw new Error(`wrote ${bytesWritten} of ${frames.length} bytes`);
      position += frames.length;
      zeros?.after(position);
      if (isSyncedApart) await file.datasync();
    },
    finish: async () => {
      await cut();
      await file.sync();
    },
    lend: () => {
      isLent = true;
      return { from: position, to: zeros?.lendable ?? position };
    },
    takeBack: (end = position) => {
      const most = isBorrowed ? Number.MAX_SAFE_INTEGER : Math.max(position, zeros?.end ?? 0);
      const isOurs = isLent ? end >= position && end <= most : end === position;
      invariant(isOurs, "a frame log is given back with an end that it has not lent");
      isLent = false;
      position = end;
    },
    close: async () => {
      if (isLent) await zeros?.finish();
      // On a disk that takes nothing any more zeros may stay: the next start cuts them off.
      else await cut().catch(() => undefined);
      await file.close();
    },
  };
}

/** Bytes that are filled for each append anew: the file takes one piece, and appends follow one another. */
class Scratch {
  #bytes = new Uint8Array(SCRATCH_BYTES);

  of(length: number): Uint8Array {
    return length <= SCRATCH_BYTES ? this.#bytes.subarray(0, length) : new Uint8Array(length);
  }
}

/** Room for the receipts of sixteen calls. */
const SCRATCH_BYTES = 131_072;

function framesOf(payloads: readonly Uint8Array[], scratch: Scratch): Uint8Array {
  let length = 0;
  for (const payload of payloads) length += FRAME_HEADER_BYTES + payload.length;
  const frames = scratch.of(length);
  const view = new DataView(frames.buffer, frames.byteOffset, length);
  let at = 0;
  for (const payload of payloads) {
    view.setUint32(at, payload.length + (at === 0 ? FIRST_OF_APPEND : 0));
    view.setUint32(at + 4, crc32(payload));
    frames.set(payload, at + FRAME_HEADER_BYTES);
    at += FRAME_HEADER_BYTES + payload.length;
  }
  return frames;
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

/** Damage at a byte of a file. */
export function damaged(name: string, at: number): StoreError {
  return new StoreError("ERR_STREAM_FILE", `${name} is damaged at byte ${at}; restore it or start a new stream`, {
    fatal: true,
  });
}
