/**
 * Reads a stream's files on, behind whoever writes them: each receipt once, in order, from any one on. Only what the writer
 * has said to be written is read, so that a frame which is not whole is damage and not an append under way.
 */

import { constants, readSync } from "node:fs";
import { access, type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import { damaged, FRAME_HEADER_BYTES, frameEndAt, MAX_PAYLOAD_BYTES } from "./frame-log.ts";
import { firstsIn, nameOf } from "./stream-log.ts";
import { ReadReceipt, type WrittenReceipt } from "./written-receipt.ts";

const CHUNK_BYTES = 256 * 1024;
const MIN_READ_BYTES = 16 * 1024;
/** More than most receipts have. What is read in vain is zeros, or read again. */
const EXPECTED_RECEIPT_BYTES = 2048;
const MAX_FRAME_BYTES = FRAME_HEADER_BYTES + MAX_PAYLOAD_BYTES;

/**
 * A place in a stream's files; one reader at a time. It reads on the thread that calls: what was written a moment ago is in
 * memory, and to have another thread fetch it costs more than to fetch it.
 */
export class StreamTail {
  readonly #folder: string;
  #file: FileHandle | undefined;
  #path = "";
  /** Number of the next frame of the open file. */
  #seq = 0;
  /** Where the bytes of the file end that were read. */
  #position = 0;
  /** The one memory that is read into: new memory for each read would be more than all that is found in it. */
  readonly #bytes = new Uint8Array(CHUNK_BYTES);
  /** In it, bytes that were read and not taken. */
  #start = 0;
  #end = 0;

  /** @param folder  of the stream */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /**
   * Receipts from `from` to the one before `end`, all of them written; `from` never goes back.
   *
   * @throws {StoreError} ERR_STREAM_FILE
   */
  async read(from: number, end: number): Promise<readonly WrittenReceipt[]> {
    const found: WrittenReceipt[] = [];
    if (from >= end) return found;
    if (this.#file === undefined) await this.#openHolding(from);
    // What is left of the last read may have been read while it was written.
    for (let isFresh = false; this.#seq < end; ) {
      const payloads = this.#take(end - this.#seq);
      for (const payload of payloads) {
        if (this.#seq >= from) found.push(new ReadReceipt(this.#seq, payload));
        this.#seq += 1;
      }
      if (payloads.length > 0) continue;
      if (!isFresh) this.#putBack();
      isFresh = true;
      if (!this.#fill(end - this.#seq)) await this.#openFollowing();
    }
    return found;
  }

  async close(): Promise<void> {
    await this.#file?.close();
    this.#file = undefined;
  }

  /** Payloads of whole frames, at most `count`, in memory of their own that they share. */
  #take(count: number): readonly Uint8Array[] {
    const read = this.#bytes.subarray(0, this.#end);
    const ends: number[] = [];
    let at = this.#start;
    for (let end = frameEndAt(read, at); end !== undefined && ends.length < count; end = frameEndAt(read, at)) {
      ends.push(end);
      at = end;
    }
    const start = this.#start;
    const own = read.slice(start, at);
    this.#start = at;
    return ends.map((end, i) => own.subarray((ends[i - 1] ?? start) - start + FRAME_HEADER_BYTES, end - start));
  }

  /** Reads on, as much as `count` receipts may have. @returns false at the end of the file @throws {StoreError} ERR_STREAM_FILE */
  #fill(count: number): boolean {
    const rest = this.#end - this.#start;
    if (rest >= MAX_FRAME_BYTES) throw damaged(this.#path, this.#position - rest);
    this.#bytes.copyWithin(0, this.#start, this.#end);
    const wanted = Math.max(MIN_READ_BYTES, count * EXPECTED_RECEIPT_BYTES);
    const room = Math.min(this.#bytes.length - rest, wanted);
    const bytes = this.#file === undefined ? 0 : readSync(this.#file.fd, this.#bytes, rest, room, this.#position);
    this.#position += bytes;
    [this.#start, this.#end] = [0, rest + bytes];
    if (bytes === 0 && rest > 0) throw damaged(this.#path, this.#position - rest);
    return bytes > 0;
  }

  /** Forgets what was read and not taken. */
  #putBack(): void {
    this.#position -= this.#end - this.#start;
    this.#drop();
  }

  #drop(): void {
    [this.#start, this.#end] = [0, 0];
  }

  async #openHolding(seq: number): Promise<void> {
    const firsts = await firstsIn(this.#folder);
    await this.#openAt(firsts.findLast((first) => first <= seq) ?? 0);
  }

  /** The file that begins where this one ends; without it what was said to be written is not there. */
  async #openFollowing(): Promise<void> {
    const path = join(this.#folder, `${nameOf(this.#seq)}.log`);
    const isThere = await access(path, constants.R_OK).then(
      () => true,
      () => false,
    );
    if (path === this.#path || !isThere) throw damaged(this.#path, this.#position);
    await this.#openAt(this.#seq);
  }

  async #openAt(first: number): Promise<void> {
    await this.#file?.close();
    this.#path = join(this.#folder, `${nameOf(first)}.log`);
    this.#file = await open(this.#path, constants.O_RDONLY);
    [this.#seq, this.#position] = [first, 0];
    this.#drop();
  }
}
