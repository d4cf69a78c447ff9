/**
 * The entry bundle that is not full yet, in the form that it will have as a file. It grows in memory of its own thread: V8 copies
 * into, and within, memory that threads share byte by byte unless source and target are aligned alike.
 */

import { invariant } from "../../kernel/errors.ts";
import { type EntryRanges, entryAt } from "../../kernel/merkle/hash.ts";
import { MAX_ENTRY_BYTES, parseEntryBundle } from "../../kernel/tile/entry-bundle.ts";
import { TILE_WIDTH } from "../../kernel/tile/path.ts";

const LENGTH_BYTES = 2;
const LEAST_BYTES = 1024;
/** What is copied at once is aligned like its source. */
const WORD_BYTES = 8;
/** Stays in the processor's caches between the copy and the moves. */
const CHUNK_BYTES = 128 * 1024;

/** Mutable. */
export class GrowingBundle {
  #bytes = new Uint8Array(LEAST_BYTES);
  /** Where each entry ends. */
  readonly #ends = new Uint32Array(TILE_WIDTH);
  #count = 0;
  #length = 0;

  /** Number of entries. */
  get width(): number {
    return this.#count;
  }

  /** Bytes of the file. */
  get length(): number {
    return this.#length;
  }

  /** Takes the next entry. Requires that there are fewer than 256. */
  add(entry: Uint8Array): void {
    const { length } = entry;
    invariant(length <= MAX_ENTRY_BYTES && this.#count < TILE_WIDTH, "a bundle takes 256 entries of at most 64 KiB");
    const end = this.#length + LENGTH_BYTES + length;
    this.#require(end);
    this.#bytes[this.#length] = length >>> 8;
    this.#bytes[this.#length + 1] = length;
    this.#bytes.set(entry, this.#length + LENGTH_BYTES);
    this.#ends[this.#count] = end;
    this.#count += 1;
    this.#length = end;
  }

  /** Takes entries `from` to `to` (exclusive). Requires that there is room for them. */
  addAll(entries: EntryRanges, from: number, to: number): void {
    for (let at = from; at < to; ) {
      const end = chunkEnd(entries, at, to);
      if (end === at + 1) this.add(entryAt(entries, at));
      else this.#addChunk(entries, at, end);
      at = end;
    }
  }

  /** Copies them at once to where the first of them belongs, and moves each from there to its place: no view is made for one. */
  #addChunk({ bytes, starts, ends }: EntryRanges, from: number, to: number): void {
    invariant(this.#count + to - from <= TILE_WIDTH, "a bundle takes 256 entries");
    const [first, last] = [starts[from] ?? 0, ends[to - 1] ?? 0];
    const least = this.#length + LENGTH_BYTES;
    const base = least + ((bytes.byteOffset + first - least) & (WORD_BYTES - 1));
    this.#require(base + last - first);
    const memory = this.#bytes;
    memory.set(bytes.subarray(first, last), base);
    let at = this.#length;
    for (let i = from; i < to; i += 1) {
      const [start, end] = [starts[i] ?? 0, ends[i] ?? 0];
      memory[at] = (end - start) >>> 8;
      memory[at + 1] = end - start;
      at += LENGTH_BYTES;
      memory.copyWithin(at, base + start - first, base + end - first);
      at += end - start;
      this.#ends[this.#count] = at;
      this.#count += 1;
    }
    this.#length = at;
  }

  /** The bundle of the first entries, in memory of its own. @param width  1 to `this.width` */
  prefix(width: number): Uint8Array {
    return this.#bytes.slice(0, this.#ends[width - 1]);
  }

  /** The entries so far, in memory of their own. */
  entries(): readonly Uint8Array[] {
    return this.#count === 0 ? [] : parseEntryBundle(this.prefix(this.#count), this.#count);
  }

  /** Moves the bytes of the file to the front of `memory` and is the empty bundle again. @returns them there */
  moveTo(memory: Uint8Array): Uint8Array {
    const file = memory.subarray(0, this.#length);
    file.set(this.#bytes.subarray(0, this.#length));
    [this.#count, this.#length] = [0, 0];
    return file;
  }

  #require(bytes: number): void {
    if (bytes <= this.#bytes.length) return;
    const memory = new Uint8Array(Math.max(bytes, 2 * this.#bytes.length));
    memory.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = memory;
  }
}

/** Memory that the thread which writes files reads without a copy. */
export function sharedBytes(length: number): Uint8Array {
  return new Uint8Array(new SharedArrayBuffer(length));
}

/** How many of the entries from `from` on can be taken at once: with room for a length in front of each, as many as a copy is quick for. */
function chunkEnd({ starts, ends }: EntryRanges, from: number, to: number): number {
  const first = starts[from] ?? 0;
  let end = from + 1;
  while (
    end < to &&
    (ends[end] ?? 0) - first <= CHUNK_BYTES &&
    (starts[end] ?? 0) - (ends[end - 1] ?? 0) >= LENGTH_BYTES
  ) {
    end += 1;
  }
  return end;
}
