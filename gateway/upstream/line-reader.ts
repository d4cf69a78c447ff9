/** Splits a byte stream into lines within a bound. A line above it is dropped; its ends are kept to tell what it was. */

import { concat } from "../../kernel/bytes.ts";

/** Told of what a stream holds. */
export interface LineListener {
  readonly onLine: (line: Uint8Array) => void;
  /** First and last bytes of a line that was too long. */
  readonly onOversize: (ends: Uint8Array) => void;
}

const LINE_FEED = 0x0a;
const KEPT_BYTES = 512;

/** Takes a stream's chunks. */
export class LineReader {
  readonly #listener: LineListener;
  readonly #maxBytes: number;
  #chunks: Uint8Array[] = [];
  #length = 0;
  #isOversize = false;

  constructor(maxBytes: number, listener: LineListener) {
    this.#maxBytes = maxBytes;
    this.#listener = listener;
  }

  push(chunk: Uint8Array): void {
    let start = 0;
    for (let end = chunk.indexOf(LINE_FEED); end >= 0; end = chunk.indexOf(LINE_FEED, start)) {
      this.#append(chunk.subarray(start, end));
      this.#emit();
      start = end + 1;
    }
    if (start < chunk.length) this.#append(chunk.subarray(start));
  }

  #append(part: Uint8Array): void {
    this.#length += part.length;
    this.#chunks.push(new Uint8Array(part));
    if (this.#length <= this.#maxBytes && !this.#isOversize) return;
    const bytes = concat(...this.#chunks);
    this.#isOversize = true;
    this.#chunks = [bytes.slice(0, KEPT_BYTES), bytes.slice(Math.max(KEPT_BYTES, bytes.length - KEPT_BYTES))];
  }

  #emit(): void {
    const bytes = concat(...this.#chunks);
    const { onLine, onOversize } = this.#listener;
    if (this.#isOversize) onOversize(bytes);
    else if (bytes.length > 0) onLine(bytes);
    this.#chunks = [];
    this.#length = 0;
    this.#isOversize = false;
  }
}
