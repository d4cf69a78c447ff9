/**
 * Bytes that arrive in pieces, gathered in one buffer that grows: whoever sends one byte at a time must not make us hold an
 * object for each.
 */

const FIRST_BYTES = 4096;

/** Mutable; empty at first. */
export class GatheredBytes {
  #buffer: Uint8Array = new Uint8Array(0);
  #length = 0;

  /** Number of bytes. */
  get length(): number {
    return this.#length;
  }

  /** Adds a copy of `part`. */
  push(part: Uint8Array): void {
    const length = this.#length + part.length;
    if (length > this.#buffer.length) this.#grow(length);
    this.#buffer.set(part, this.#length);
    this.#length = length;
  }

  /** What was gathered, of its own size; empty afterwards. */
  take(): Uint8Array {
    const taken = this.#buffer.slice(0, this.#length);
    this.#buffer = new Uint8Array(0);
    this.#length = 0;
    return taken;
  }

  #grow(length: number): void {
    const buffer = new Uint8Array(Math.max(FIRST_BYTES, length, 2 * this.#buffer.length));
    buffer.set(this.#buffer.subarray(0, this.#length));
    this.#buffer = buffer;
  }
}

/** The same of a whole body: one that comes in one piece, as most do, is not copied. A first piece is held as it is. */
export class Pieces {
  #first: Uint8Array | undefined;
  #gathered: GatheredBytes | undefined;

  /** Number of bytes. */
  get length(): number {
    return this.#gathered?.length ?? this.#first?.length ?? 0;
  }

  /** Adds a piece. */
  push(piece: Uint8Array): void {
    if (this.#first === undefined) {
      this.#first = piece;
      return;
    }
    if (this.#gathered === undefined) {
      this.#gathered = new GatheredBytes();
      this.#gathered.push(this.#first);
    }
    this.#gathered.push(piece);
  }

  /** All of them; nothing is pushed any more. */
  take(): Uint8Array {
    if (this.#gathered !== undefined) return this.#gathered.take();
    if (this.#first === undefined) return new Uint8Array(0);
    const { buffer, byteOffset, length } = this.#first;
    return new Uint8Array(buffer, byteOffset, length);
  }
}
