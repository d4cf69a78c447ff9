/**
 * Writes leaf tables, in one synchronous run: from leaf hashes, or from tables that lie side by side. The place for it is a
 * thread of its own. A crash leaves the table, or a temporary file beside it that nothing reads.
 */

import { closeSync, fdatasyncSync, openSync, renameSync } from "node:fs";
import { dirname } from "node:path";
import { invariant } from "../../kernel/errors.ts";
import { HASH_BYTES } from "../../kernel/merkle/hash.ts";
import { syncFolderNow, writeWhole } from "../storage/new-files.ts";
import {
  countPages,
  type Fences,
  formatTail,
  PAGE_BYTES,
  PAGE_RECORDS,
  pageRange,
  RECORD_BYTES,
  type RootedRange,
  sealPage,
} from "./leaf-table.ts";
import { TableCursor, type TableFile } from "./table-reader.ts";

const BUFFERED_PAGES = 64;
const DIGIT_BITS = 16;
const DIGITS = 1 << DIGIT_BITS;
const DIGIT_MASK = DIGITS - 1;

/** A table to write from the leaf hashes of its range, one behind the other. */
export interface BuildJob extends RootedRange {
  readonly path: string;
  readonly leaves: Uint8Array;
}

/** A table to write from those of its parts, which are in the order of the log and fill the range. */
export interface MergeJob extends RootedRange {
  readonly path: string;
  readonly parts: readonly TableFile[];
}

/** Writes the table of a run; durable when it returns. */
export function buildTable(job: BuildJob): void {
  invariant(job.leaves.length === job.count * HASH_BYTES, "a leaf table is made of as many leaves as it covers");
  writeTable(job, (file) => {
    const view = new DataView(job.leaves.buffer, job.leaves.byteOffset, job.leaves.byteLength);
    const highs = new Uint32Array(job.count);
    const lows = new Uint32Array(job.count);
    for (let i = 0; i < job.count; i += 1) {
      highs[i] = view.getUint32(i * HASH_BYTES);
      lows[i] = view.getUint32(i * HASH_BYTES + 4);
    }
    for (const offset of sorted(highs, lows)) file.put(highs[offset] ?? 0, lows[offset] ?? 0, offset);
  });
}

/**
 * Writes one table for several; durable when it returns.
 *
 * @throws {FormatError} ERR_INDEX_ROW if one of them is damaged
 */
export function mergeTables(job: MergeJob): void {
  const cursors = job.parts.map((part) => new TableCursor(part, part.first - job.first));
  try {
    writeTable(job, (file) => {
      for (let least = leastOf(cursors); least !== undefined; least = leastOf(cursors)) {
        file.put(least.high, least.low, least.offset);
        least.next();
      }
    });
  } finally {
    for (const cursor of cursors) cursor.close();
  }
}

/**
 * Order of the prefixes, equal ones in the order of the log. By digits, least first: no choice of leaves makes it slower.
 */
function sorted(highs: Uint32Array, lows: Uint32Array): Uint32Array {
  let from = new Uint32Array(highs.length);
  let to = new Uint32Array(highs.length);
  for (let i = 0; i < from.length; i += 1) from[i] = i;
  for (const [words, shift] of [
    [lows, 0],
    [lows, DIGIT_BITS],
    [highs, 0],
    [highs, DIGIT_BITS],
  ] as const) {
    const starts = new Uint32Array(DIGITS + 1);
    for (const word of words) {
      const digit = ((word >>> shift) & DIGIT_MASK) + 1;
      starts[digit] = (starts[digit] ?? 0) + 1;
    }
    for (let digit = 1; digit <= DIGITS; digit += 1) starts[digit] = (starts[digit] ?? 0) + (starts[digit - 1] ?? 0);
    for (const at of from) {
      const digit = ((words[at] ?? 0) >>> shift) & DIGIT_MASK;
      const place = starts[digit] ?? 0;
      to[place] = at;
      starts[digit] = place + 1;
    }
    [from, to] = [to, from];
  }
  return from;
}

/** The cursor at the least record; the earliest of equal ones. */
function leastOf(cursors: readonly TableCursor[]): TableCursor | undefined {
  let least: TableCursor | undefined;
  for (const cursor of cursors) {
    if (cursor.isAtEnd) continue;
    if (least === undefined || cursor.high < least.high || (cursor.high === least.high && cursor.low < least.low)) {
      least = cursor;
    }
  }
  return least;
}

function writeTable(job: RootedRange & { readonly path: string }, fill: (file: PagedFile) => void): void {
  const temporary = `${job.path}.tmp`;
  const descriptor = openSync(temporary, "w");
  try {
    const file = new PagedFile(descriptor, job.count);
    fill(file);
    file.end(job);
    fdatasyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
  renameSync(temporary, job.path);
  syncFolderNow(dirname(job.path));
}

/** Takes records in order, some pages at a time. */
class PagedFile {
  readonly #descriptor: number;
  readonly #count: number;
  readonly #fences: Fences;
  readonly #buffer = new Uint8Array(BUFFERED_PAGES * PAGE_BYTES);
  readonly #view = new DataView(this.#buffer.buffer);
  /** Records so far, those of the page in work, and where it begins in the buffer. */
  #records = 0;
  #inPage = 0;
  #pageAt = 0;

  constructor(descriptor: number, count: number) {
    [this.#descriptor, this.#count] = [descriptor, count];
    this.#fences = { high: new Uint32Array(countPages(count)), low: new Uint32Array(countPages(count)) };
  }

  put(high: number, low: number, offset: number): void {
    if (this.#inPage === 0) {
      const page = this.#records / PAGE_RECORDS;
      this.#fences.high[page] = high;
      this.#fences.low[page] = low;
    }
    const at = this.#pageAt + this.#inPage * RECORD_BYTES;
    this.#view.setUint32(at, high);
    this.#view.setUint32(at + 4, low);
    this.#view.setUint32(at + 8, offset);
    this.#records += 1;
    this.#inPage += 1;
    if (this.#inPage === PAGE_RECORDS) this.#endPage();
  }

  end(range: RootedRange): void {
    invariant(this.#records === this.#count, "a leaf table got another number of records than it covers leaves");
    if (this.#inPage > 0) this.#endPage();
    this.#write();
    const tail = formatTail(range, this.#fences);
    writeWhole(this.#descriptor, tail);
  }

  #endPage(): void {
    const page = Math.ceil(this.#records / PAGE_RECORDS) - 1;
    const { bytes } = pageRange(page, this.#records);
    sealPage(this.#buffer.subarray(this.#pageAt, this.#pageAt + bytes));
    [this.#pageAt, this.#inPage] = [this.#pageAt + bytes, 0];
    if (this.#pageAt + PAGE_BYTES > this.#buffer.length) this.#write();
  }

  #write(): void {
    writeWhole(this.#descriptor, this.#buffer.subarray(0, this.#pageAt));
    this.#pageAt = 0;
  }
}
