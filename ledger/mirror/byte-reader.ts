/** Takes exact numbers of bytes from a stream as they come; holds no more than was asked for and one chunk. */

import { concatAll } from "../../kernel/bytes.ts";
import type { ErrorCode } from "../../kernel/error-codes.ts";
import { FormatError } from "../../kernel/errors.ts";

/** Reader of one stream. */
export class ByteReader {
  readonly #chunks: AsyncIterator<Uint8Array>;
  #rest: Uint8Array = new Uint8Array(0);
  readonly #code: ErrorCode;
  #isAtEnd = false;

  /** @param code  of the fault when the stream ends early */
  constructor(stream: AsyncIterable<Uint8Array>, code: ErrorCode = "ERR_ADD_ENTRIES") {
    this.#chunks = stream[Symbol.asyncIterator]();
    this.#code = code;
  }

  /** True once nothing more will come. */
  async isAtEnd(): Promise<boolean> {
    while (this.#rest.length === 0 && !this.#isAtEnd) await this.#pull();
    return this.#rest.length === 0;
  }

  /**
   * The next `count` bytes.
   *
   * @throws {FormatError} the code of this reader if the stream ends before; what the stream itself throws
   */
  async take(count: number): Promise<Uint8Array> {
    const parts: Uint8Array[] = [];
    let missing = count;
    while (missing > 0) {
      if (await this.isAtEnd()) throw new FormatError(this.#code, `the bytes end ${missing} early`);
      const part = this.#rest.subarray(0, missing);
      this.#rest = this.#rest.subarray(part.length);
      parts.push(part);
      missing -= part.length;
    }
    return parts.length === 1 && parts[0] !== undefined ? parts[0] : concatAll(parts);
  }

  /** u8, big-endian like all integers here. */
  async takeUint8(): Promise<number> {
    return (await this.take(1))[0] ?? 0;
  }

  async takeUint16(): Promise<number> {
    return viewOf(await this.take(2)).getUint16(0);
  }

  async takeUint64(): Promise<bigint> {
    return viewOf(await this.take(8)).getBigUint64(0);
  }

  async #pull(): Promise<void> {
    const next = await this.#chunks.next();
    if (next.done === true) this.#isAtEnd = true;
    else this.#rest = next.value;
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
