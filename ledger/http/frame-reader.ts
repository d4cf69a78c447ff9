/**
 * Cuts a stream of bytes into what was submitted: a line that begins like the envelope of a segment and as many receipts
 * behind it as it says, or a line that is a receipt by itself. Every line and every frame is bounded.
 */

import { FormatError } from "../../kernel/errors.ts";
import { parseCanonical } from "../../kernel/json/canonical.ts";
import { isJsonObject } from "../../kernel/json/value.ts";
import { MAX_RECEIPT_BYTES } from "../../kernel/receipt/receipt.ts";
import { MAX_SEGMENT_BYTES, MAX_SEGMENT_RECEIPTS } from "../../kernel/segment.ts";

/** One submission. */
export type Frame =
  | { readonly kind: "segment" /** Wire form. */; readonly bytes: Uint8Array }
  | { readonly kind: "receipt" /** Without the LF. */; readonly bytes: Uint8Array };

const LF = 0x0a;
/** Canonical envelopes of segments begin so; receipts begin with `{"attestation":`. */
const ENVELOPE = Buffer.from('{"count":');
const FIRST_BYTES = 64 * 1024;

/** Mutable. Frames are views of its buffers, which it never writes again. */
export class FrameReader {
  #buffer: Uint8Array = Buffer.allocUnsafeSlow(FIRST_BYTES);
  /** Frame under way: [start, scanned) was looked at, [scanned, end) was not. */
  #start = 0;
  #scanned = 0;
  #lineStart = 0;
  #end = 0;
  /** Lines that the segment under way still wants; undefined between frames. */
  #wanted: number | undefined;

  /** Bytes of the frame that is not whole. */
  get pendingBytes(): number {
    return this.#end - this.#start;
  }

  /** Takes bytes as they came. */
  push(chunk: Uint8Array): void {
    if (this.#end + chunk.length > this.#buffer.length) this.#move(chunk.length);
    this.#buffer.set(chunk, this.#end);
    this.#end += chunk.length;
  }

  /**
   * The next whole frame, or undefined until more bytes came.
   *
   * @throws {FormatError} ERR_SEGMENT (a line or a segment that is too long, an envelope without a count), ERR_JSON_*: where
   *   the next frame begins is unknown then
   */
  next(): Frame | undefined {
    for (let lineEnd = this.#findLine(); lineEnd !== -1; lineEnd = this.#findLine()) {
      const line = this.#buffer.subarray(this.#lineStart, lineEnd);
      this.#lineStart = lineEnd + 1;
      this.#scanned = lineEnd + 1;
      if (this.#wanted === undefined && !startsWith(line, ENVELOPE)) return { kind: "receipt", bytes: this.#take(1) };
      this.#wanted = this.#wanted === undefined ? countOf(line) : this.#wanted - 1;
      if (this.#wanted === 0) return { kind: "segment", bytes: this.#take(0) };
    }
    return undefined;
  }

  /** Place of the LF that ends the line under way; -1 if it is not there. */
  #findLine(): number {
    const at = this.#buffer.subarray(0, this.#end).indexOf(LF, this.#scanned);
    const lineBytes = (at === -1 ? this.#end : at) - this.#lineStart;
    if (lineBytes > MAX_RECEIPT_BYTES) {
      throw new FormatError("ERR_SEGMENT", `want lines of at most ${MAX_RECEIPT_BYTES} bytes`);
    }
    if (this.#wanted !== undefined && (at === -1 ? this.#end : at + 1) - this.#start > MAX_SEGMENT_BYTES) {
      throw new FormatError("ERR_SEGMENT", `want segments of at most ${MAX_SEGMENT_BYTES} bytes`);
    }
    this.#scanned = at === -1 ? this.#end : at;
    return at;
  }

  /** Gives out the frame that ends in front of `#lineStart`, without its last `cut` bytes. */
  #take(cut: number): Uint8Array {
    const bytes = this.#buffer.subarray(this.#start, this.#lineStart - cut);
    this.#start = this.#lineStart;
    this.#wanted = undefined;
    return bytes;
  }

  /** Goes on in another buffer: the old one belongs to the frames that were given out. */
  #move(more: number): void {
    const pending = this.#buffer.subarray(this.#start, this.#end);
    // Not filled with zeros: what is looked at was written. A frame that grows beyond it is moved to twice the room.
    const isGrowing = this.#start === 0 && pending.length > 0;
    const wanted = pending.length + more;
    const buffer = Buffer.allocUnsafeSlow(Math.max(FIRST_BYTES, isGrowing ? 2 * wanted : wanted));
    buffer.set(pending);
    this.#buffer = buffer;
    this.#scanned -= this.#start;
    this.#lineStart -= this.#start;
    this.#end = pending.length;
    this.#start = 0;
  }
}

function countOf(line: Uint8Array): number {
  const envelope = parseCanonical(line, { maxBytes: MAX_RECEIPT_BYTES });
  const { count } = isJsonObject(envelope) ? envelope : {};
  if (typeof count === "number" && Number.isInteger(count) && count >= 1 && count <= MAX_SEGMENT_RECEIPTS) return count;
  throw new FormatError("ERR_SEGMENT", `want a segment of 1 to ${MAX_SEGMENT_RECEIPTS} receipts`);
}

function startsWith(bytes: Uint8Array, prefix: Uint8Array): boolean {
  return prefix.every((byte, i) => bytes[i] === byte);
}
