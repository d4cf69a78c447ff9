/** A leaf table that is open for look-ups: its fences are in memory, one page is read for a look. */

import { type FileHandle, open } from "node:fs/promises";
import { FormatError } from "../../kernel/errors.ts";
import type { LeafHash, NodeHash } from "../../kernel/merkle/hash.ts";
import {
  countPages,
  type Fences,
  type LeafRange,
  openPage,
  pageRange,
  parseTail,
  RECORD_BYTES,
  tableBytes,
  tailRange,
} from "./leaf-table.ts";

/** Mutable only in that it is closed. */
export class OpenTable {
  readonly path: string;
  readonly range: LeafRange;
  readonly root: NodeHash;
  readonly #file: FileHandle;
  readonly #fences: Fences;

  private constructor(path: string, range: LeafRange, file: FileHandle, tail: ReturnType<typeof parseTail>) {
    [this.path, this.range, this.#file, this.root, this.#fences] = [path, range, file, tail.root, tail.fences];
  }

  /**
   * Opens the table of a range and reads its end; pages are checked when they are read.
   *
   * @throws {FormatError} ERR_INDEX_ROW if it is cut, longer than it should be, or damaged at its end
   */
  static async open(path: string, range: LeafRange): Promise<OpenTable> {
    const file = await open(path, "r");
    try {
      const { size } = await file.stat();
      if (size !== tableBytes(range.count)) throw new FormatError("ERR_INDEX_ROW", "a leaf table has another length");
      const { at, bytes } = tailRange(range.count);
      return new OpenTable(path, range, file, parseTail(await readWhole(file, at, bytes), range));
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /**
   * Indexes of the leaves that begin as this one does, in order: nearly always none, and hardly ever two.
   *
   * @throws {FormatError} ERR_INDEX_ROW if a page is damaged
   */
  async find(leaf: LeafHash): Promise<readonly number[]> {
    const [high, low] = [wordOf(leaf, 0), wordOf(leaf, 4)];
    const found: number[] = [];
    // A page that begins with the prefix may follow one that ends with it.
    for (let number = Math.max(0, firstAtLeast(this.#fences, high, low) - 1); ; number += 1) {
      const isBehind = number === countPages(this.range.count) || isAbove(this.#fences, number, high, low);
      if (isBehind) return found;
      const { at, bytes } = pageRange(number, this.range.count);
      const page = openPage(await readWhole(this.#file, at, bytes), this.#fences, number);
      for (let at = lowerBound(page, high, low); at < page.byteLength; at += RECORD_BYTES) {
        if (page.getUint32(at) !== high || page.getUint32(at + 4) !== low) break;
        found.push(this.range.first + page.getUint32(at + 8));
      }
    }
  }

  /** Reads every page. @throws {FormatError} ERR_INDEX_ROW at the first that is damaged */
  async *pages(): AsyncGenerator<DataView, void, undefined> {
    for (let number = 0; number < countPages(this.range.count); number += 1) {
      const { at, bytes } = pageRange(number, this.range.count);
      yield openPage(await readWhole(this.#file, at, bytes), this.#fences, number);
    }
  }

  async close(): Promise<void> {
    await this.#file.close();
  }
}

/** Number of the first page that begins with this prefix or a later one; of all pages if there is none. */
function firstAtLeast(fences: Fences, high: number, low: number): number {
  let [from, to] = [0, fences.high.length];
  while (from < to) {
    const middle = (from + to) >>> 1;
    const first = fences.high[middle] ?? 0;
    if (first < high || (first === high && (fences.low[middle] ?? 0) < low)) from = middle + 1;
    else to = middle;
  }
  return from;
}

/** True if the page begins behind the prefix. */
function isAbove(fences: Fences, number: number, high: number, low: number): boolean {
  const first = fences.high[number] ?? 0;
  return first > high || (first === high && (fences.low[number] ?? 0) > low);
}

/** Where the first record with this prefix or a later one begins. */
function lowerBound(page: DataView, high: number, low: number): number {
  let [from, to] = [0, page.byteLength / RECORD_BYTES];
  while (from < to) {
    const middle = (from + to) >>> 1;
    const first = page.getUint32(middle * RECORD_BYTES);
    if (first < high || (first === high && page.getUint32(middle * RECORD_BYTES + 4) < low)) from = middle + 1;
    else to = middle;
  }
  return from * RECORD_BYTES;
}

function wordOf(leaf: LeafHash, at: number): number {
  return new DataView(leaf.buffer, leaf.byteOffset, leaf.byteLength).getUint32(at);
}

async function readWhole(file: FileHandle, at: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  for (let done = 0; done < length; ) {
    const { bytesRead } = await file.read(bytes, done, length - done, at + done);
    if (bytesRead === 0) throw new FormatError("ERR_INDEX_ROW", "a leaf table is cut");
    done += bytesRead;
  }
  return bytes;
}
