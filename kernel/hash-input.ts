/**
 * Memory in which inputs of hashes are put together, used again and again: an array of more than 64 bytes is memory of the C
 * library with a finalizer, and a view of one is an object of some 200 bytes, which both cost more than the hash itself.
 * Hashing never yields, so whoever has filled one has it to itself until it hashed.
 */

import { formatUtf8 } from "./bytes.ts";

/** Views of so many first bytes are kept. */
const MAX_KEPT_VIEW = 1024;
/** A longer text is encoded by the platform: a call of it costs as much as so many characters. */
const SHORT_TEXT = 96;

/** Bytes that are written one behind the other. */
export class HashInput {
  readonly #usual: Uint8Array;
  readonly #views: Uint8Array[] = [];
  /** So many first bytes may have been written since they were wiped. */
  #written = 0;
  bytes: Uint8Array;
  /** Bytes that are written; set it back to write over them. */
  length = 0;

  /** @param capacity  more is possible, and is let go of by `wipe` */
  constructor(capacity: number) {
    this.#usual = new Uint8Array(capacity);
    this.bytes = this.#usual;
  }

  /** What is written, until something else is. */
  view(): Uint8Array {
    const { bytes, length } = this;
    if (length > MAX_KEPT_VIEW || bytes !== this.#usual) return bytes.subarray(0, length);
    const known = this.#views[length];
    if (known !== undefined) return known;
    // Places in between are filled, so that the list stays one without holes.
    while (this.#views.length < length) this.#views.push(bytes.subarray(0, this.#views.length));
    const made = bytes.subarray(0, length);
    this.#views.push(made);
    return made;
  }

  /** Adds u32be length ‖ UTF-8 of `text`. */
  putText(text: string): void {
    if (text.length > SHORT_TEXT || !this.#putAscii(text)) this.putBytes(formatUtf8(text));
  }

  /** Adds u32be length ‖ `part`. */
  putBytes(part: Uint8Array): void {
    this.#reserve(4 + part.length);
    this.#putLength(part.length);
    this.bytes.set(part, this.length);
    this.length += part.length;
  }

  /** Forgets what was written: it was made with a secret. */
  wipe(): void {
    this.#usual.fill(0, 0, Math.max(this.#written, this.length));
    if (this.bytes !== this.#usual) this.bytes.fill(0);
    this.bytes = this.#usual;
    this.length = 0;
    this.#written = 0;
  }

  /** False if the text is not ASCII: then nothing is added. */
  #putAscii(text: string): boolean {
    this.#reserve(4 + text.length);
    const { bytes } = this;
    const start = this.length + 4;
    for (let i = 0; i < text.length; i += 1) {
      const code = text.charCodeAt(i);
      if (code > 0x7f) return false;
      bytes[start + i] = code;
    }
    this.#putLength(text.length);
    this.length += text.length;
    return true;
  }

  #putLength(length: number): void {
    const { bytes, length: at } = this;
    bytes[at] = length >>> 24;
    bytes[at + 1] = length >>> 16;
    bytes[at + 2] = length >>> 8;
    bytes[at + 3] = length;
    this.length = at + 4;
  }

  #reserve(more: number): void {
    const length = this.length + more;
    if (length > this.#written) this.#written = length;
    if (length <= this.bytes.length) return;
    const grown = new Uint8Array(2 * length);
    grown.set(this.bytes.subarray(0, this.length));
    this.bytes = grown;
  }
}
