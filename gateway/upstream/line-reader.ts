/** Splits a byte stream into lines within a bound. A line above it is dropped; its ends are kept to tell what it was. */

import { concat } from "../../kernel/bytes.ts";
import { GatheredBytes } from "../wire/gathered-bytes.ts";

/** Told of what a stream holds. */
export interface LineListener {
  readonly onLine: (line: Uint8Array) => void;
  /** First and last bytes of a line that was too long. */
  readonly onOversize: (ends: Uint8Array) => void;
}

const LINE_FEED = 0x0a;
const KEPT_BYTES = 512;
const EMPTY = new Uint8Array(0);

/** Takes a stream's chunks. */
export class LineReader {
  readonly #listener: LineListener;
  readonly #maxBytes: number;
  readonly #line = new GatheredBytes();
  #isOversize = false;
  #start: Uint8Array = EMPTY;
  #end: Uint8Array = EMPTY;

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
    if (this.#isOversize) this.#keepEnd(part);
    else if (this.#line.length + part.length <= this.#maxBytes) this.#line.push(part);
    else this.#startDropping(part);
  }

  /** Of a line above the bound, the first bytes and the newest ones are kept. */
  #startDropping(part: Uint8Array): void {
    const bytes = concat(this.#line.take(), part);
    this.#isOversize = true;
    this.#start = bytes.slice(0, KEPT_BYTES);
    this.#keepEnd(bytes.subarray(KEPT_BYTES));
  }

  #keepEnd(part: Uint8Array): void {
    this.#end = concat(this.#end, part.subarray(-KEPT_BYTES)).slice(-KEPT_BYTES);
  }

  #emit(): void {
    const { onLine, onOversize } = this.#listener;
    if (this.#isOversize) onOversize(concat(this.#start, this.#end));
    else if (this.#line.length > 0) onLine(this.#line.take());
    this.#isOversize = false;
    this.#start = this.#end = EMPTY;
  }
}
