/**
 * Reads a stream's files on, behind whoever writes them: each receipt once, in order, from any one on. Only what the writer
 * has said to be written is read, so that a frame which is not whole is damage and not an append under way.
 */

import { constants } from "node:fs";
import { access, type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import { damaged, FRAME_HEADER_BYTES, frameAt, MAX_PAYLOAD_BYTES } from "./frame-log.ts";
import { firstsIn, nameOf, writtenOf } from "./stream-log.ts";
import type { WrittenReceipt } from "./written-receipt.ts";

const CHUNK_BYTES = 256 * 1024;
const MAX_FRAME_BYTES = FRAME_HEADER_BYTES + MAX_PAYLOAD_BYTES;

/** A place in a stream's files; one reader at a time. */
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
    while (this.#seq < end) {
      const payload = await this.#next();
      if (this.#seq >= from) found.push(writtenOf(this.#seq, payload));
      this.#seq += 1;
    }
    return found;
  }

  async close(): Promise<void> {
    await this.#file?.close();
    this.#file = undefined;
  }

  async #next(): Promise<Uint8Array> {
    for (let isAgain = false; ; ) {
      const rest = this.#bytes.subarray(this.#start, this.#end);
      const payload = frameAt(rest, 0);
      if (payload !== undefined) {
        this.#start += FRAME_HEADER_BYTES + payload.length;
        return payload;
      }
      if (rest.length < MAX_FRAME_BYTES && (await this.#fill())) continue;
      if (rest.length === 0) await this.#openFollowing();
      else if (isAgain) throw damaged(this.#path, this.#position - rest.length);
      else {
        // It may have been read while it was written.
        isAgain = true;
        this.#position -= rest.length;
        this.#drop();
      }
    }
  }

  /** @returns false at the end of the file */
  async #fill(): Promise<boolean> {
    const rest = this.#end - this.#start;
    this.#bytes.copyWithin(0, this.#start, this.#end);
    const got = await this.#file?.read(this.#bytes, rest, this.#bytes.length - rest, this.#position);
    const bytes = got?.bytesRead ?? 0;
    this.#position += bytes;
    [this.#start, this.#end] = [0, rest + bytes];
    return bytes > 0;
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
