/** Reads leaf tables from the first record to the last, in one synchronous run: where many are, in a thread. */

import { closeSync, openSync, readSync } from "node:fs";
import { FormatError } from "../../kernel/errors.ts";
import { addToPart, makePart } from "../sequence/leaf-filter.ts";
import {
  countPages,
  type Fences,
  type LeafRange,
  openPage,
  PAGE_BYTES,
  pageRange,
  parseTail,
  RECORD_BYTES,
  tailRange,
} from "./leaf-table.ts";

/** A table and its file. */
export interface TableFile extends LeafRange {
  readonly path: string;
}

/**
 * Words of a filter part that holds every leaf of some tables.
 *
 * @throws {FormatError} ERR_INDEX_ROW if one of them is damaged
 */
export function filterTables(tables: readonly TableFile[]): Uint32Array {
  const part = makePart(tables.reduce((total, { count }) => total + count, 0));
  for (const table of tables) {
    const cursor = new TableCursor(table, 0);
    try {
      for (; !cursor.isAtEnd; cursor.next()) addToPart(part, cursor.high, cursor.low);
    } finally {
      cursor.close();
    }
  }
  return part.words;
}

/** Reads the records of a table in order, some pages at a time. */
export class TableCursor {
  high = 0;
  low = 0;
  /** Of the record's leaf in the range that is made. */
  offset = 0;
  isAtEnd = false;
  readonly #range: LeafRange;
  readonly #shift: number;
  readonly #descriptor: number;
  readonly #fences: Fences;
  readonly #buffer = new Uint8Array(PAGE_BYTES);
  #page = 0;
  #records: DataView = new DataView(this.#buffer.buffer, 0, 0);
  #at = 0;

  constructor({ path, ...range }: TableFile, shift: number) {
    [this.#range, this.#shift, this.#descriptor] = [range, shift, openSync(path, "r")];
    const { at, bytes } = tailRange(range.count);
    const tail = new Uint8Array(bytes);
    readWhole(this.#descriptor, tail, at);
    this.#fences = parseTail(tail, range).fences;
    this.next();
  }

  /** Goes to the next record. */
  next(): void {
    if (this.#at === this.#records.byteLength && !this.#readPage()) {
      this.isAtEnd = true;
      return;
    }
    this.high = this.#records.getUint32(this.#at);
    this.low = this.#records.getUint32(this.#at + 4);
    this.offset = this.#records.getUint32(this.#at + 8) + this.#shift;
    this.#at += RECORD_BYTES;
  }

  close(): void {
    closeSync(this.#descriptor);
  }

  #readPage(): boolean {
    if (this.#page === countPages(this.#range.count)) return false;
    const { at, bytes } = pageRange(this.#page, this.#range.count);
    const page = this.#buffer.subarray(0, bytes);
    readWhole(this.#descriptor, page, at);
    this.#records = openPage(page, this.#fences, this.#page);
    [this.#page, this.#at] = [this.#page + 1, 0];
    return true;
  }
}

function readWhole(descriptor: number, bytes: Uint8Array, at: number): void {
  for (let done = 0; done < bytes.length; ) {
    const read = readSync(descriptor, bytes, done, bytes.length - done, at + done);
    if (read === 0) throw new FormatError("ERR_INDEX_ROW", "a leaf table is cut");
    done += read;
  }
}
