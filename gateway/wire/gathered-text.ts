/**
 * A text that arrives in pieces, gathered until it is whole: whoever sends one character at a time must not make us hold a piece for
 * each, nor copy what is there with each.
 */

/** So many pieces are joined to one. */
const MANY = 1_024;

/** Mutable; empty at first. */
export class GatheredText {
  #pieces: string[] = [];
  #joined: string[] = [];
  #length = 0;

  /** Number of UTF-16 code units. */
  get length(): number {
    return this.#length;
  }

  /** The last piece that was added; undefined if there is none. */
  get last(): string | undefined {
    return this.#pieces.at(-1) ?? this.#joined.at(-1);
  }

  push(piece: string): void {
    if (piece === "") return;
    this.#length += piece.length;
    if (this.#pieces.push(piece) < MANY) return;
    this.#joined.push(this.#pieces.join(""));
    this.#pieces = [];
  }

  /** All of it; empty afterwards. */
  take(): string {
    const text = this.#joined.join("") + this.#pieces.join("");
    this.#pieces = [];
    this.#joined = [];
    this.#length = 0;
    return text;
  }
}
