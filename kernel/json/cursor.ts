/**
 * Reads canonical JSON (RFC 8785) from left to right without making values in between: what a shape expects is looked for
 * right where it must stand. It knows the common spellings only (printable ASCII without escapes, integers of few enough
 * digits); whoever meets `OFF_TEXT` asks the parser, which knows all of them and names the fault.
 */

import { FormatError } from "../errors.ts";

const QUOTE = 0x22;
const COMMA = 0x2c;
const MINUS = 0x2d;
const ZERO = 0x30;
const NINE = 0x39;
const OPEN_BRACKET = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_BRACKET = 0x5d;
const LOWER_A = 0x61;
const LOWER_F = 0x66;
const LOWER_N = 0x6e;
const LOWER_T = 0x74;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const SPACE = 0x20;
const TILDE = 0x7e;
/** Every integer of so many digits is safe. */
const SAFE_DIGITS = 15;

/** Thrown where the text is not what is looked for, or spelled otherwise; one for all, since nobody is shown it. */
const OFF_TEXT: FormatError = new FormatError("ERR_JSON_CANONICAL", "not the expected text in its common spelling");

/**
 * A place in a text; every `take…` moves it behind what it read. It looks at the bytes, which costs a third of looking at
 * characters, and cuts values out of the text.
 */
export class TextCursor {
  readonly #text: string;
  readonly #bytes: Uint8Array;
  at = 0;
  /** Where values that were asked to be remembered stand, in their order. */
  readonly spans: (readonly [start: number, end: number])[] = [];

  /** @param bytes  UTF-8 of the text, as many as it has characters: it is ASCII */
  constructor(text: string, bytes: Uint8Array) {
    this.#text = text;
    this.#bytes = bytes;
  }

  /** @throws {FormatError} always */
  refuse(): never {
    throw OFF_TEXT;
  }

  /** Takes `spelling` if it is there; false if not. */
  skip(spelling: string): boolean {
    const { at } = this;
    for (let i = 0; i < spelling.length; i += 1) if (this.#bytes[at + i] !== spelling.charCodeAt(i)) return false;
    this.at = at + spelling.length;
    return true;
  }

  /** Takes the bytes of a spelling if they are there; false if not. */
  skipBytes(spelling: Uint8Array): boolean {
    const { at } = this;
    for (let i = 0; i < spelling.length; i += 1) if (this.#bytes[at + i] !== spelling[i]) return false;
    this.at = at + spelling.length;
    return true;
  }

  /** Takes one character. @throws {FormatError} if it is another */
  expect(code: number): void {
    if (this.#code(this.at) !== code) throw OFF_TEXT;
    this.at += 1;
  }

  /** The character at a place; 0 behind the end, which no text of JSON holds. */
  #code(at: number): number {
    return this.#bytes[at] ?? 0;
  }

  /** Takes `{`. */
  openObject(): void {
    this.expect(OPEN_BRACE);
  }

  /** Takes `}`. */
  closeObject(): void {
    this.expect(CLOSE_BRACE);
  }

  /** Takes an array, each item by `takeItem`. @param max  most items, so that no text costs more than its bounds */
  takeArray<T>(max: number, takeItem: (cursor: TextCursor) => T): T[] {
    this.expect(OPEN_BRACKET);
    const items: T[] = [];
    if (this.#code(this.at) === CLOSE_BRACKET) {
      this.at += 1;
      return items;
    }
    for (;;) {
      if (items.length === max) throw OFF_TEXT;
      items.push(takeItem(this));
      const code = this.#code(this.at);
      this.at += 1;
      if (code === CLOSE_BRACKET) return items;
      if (code !== COMMA) throw OFF_TEXT;
    }
  }

  /** Takes a string of printable ASCII without escapes. */
  takeString(): string {
    const start = this.at + 1;
    this.#skipString();
    return this.#text.slice(start, this.at - 1);
  }

  #skipString(): void {
    this.expect(QUOTE);
    let end = this.at;
    let code = this.#code(end);
    while (code !== QUOTE) {
      if (code < SPACE || code > TILDE || code === BACKSLASH) throw OFF_TEXT;
      end += 1;
      code = this.#code(end);
    }
    this.at = end + 1;
  }

  /** Takes a string of exactly `digits` lower-case hexadecimal digits. */
  takeHex(digits: number): string {
    const start = this.at + 1;
    const end = start + digits;
    if (this.#code(this.at) !== QUOTE || this.#code(end) !== QUOTE) throw OFF_TEXT;
    for (let i = start; i < end; i += 1) {
      const code = this.#code(i);
      const isDigit = (code >= ZERO && code <= NINE) || (code >= LOWER_A && code <= LOWER_F);
      if (!isDigit) throw OFF_TEXT;
    }
    this.at = end + 1;
    return this.#text.slice(start, end);
  }

  /** Takes an integer of up to 15 digits. What follows it must be looked at: it may be more of the number. */
  takeInteger(): number {
    const isNegative = this.#code(this.at) === MINUS;
    const start = isNegative ? this.at + 1 : this.at;
    let value = 0;
    let end = start;
    for (let code = this.#code(end); code >= ZERO && code <= NINE; code = this.#code(end)) {
      value = value * 10 + (code - ZERO);
      end += 1;
    }
    const digits = end - start;
    const hasOddZero = this.#code(start) === ZERO && (digits > 1 || isNegative);
    if (digits === 0 || digits > SAFE_DIGITS || hasOddZero) throw OFF_TEXT;
    this.at = end;
    return isNegative ? -value : value;
  }

  /** Takes a string, an integer, true, false or null. */
  takeScalar(): string | number | boolean | null {
    switch (this.#code(this.at)) {
      case QUOTE:
        return this.takeString();
      case LOWER_T:
        return this.#takeWord("true", true);
      case LOWER_F:
        return this.#takeWord("false", false);
      case LOWER_N:
        return this.#takeWord("null", null);
      default:
        return this.takeInteger();
    }
  }

  /**
   * The string that the member `key` of the object here seems to have, without moving; undefined if there is none. It is a
   * guess, which the reader of the object confirms or refuses.
   */
  peekTag(key: string): string | undefined {
    const start = this.at;
    try {
      this.openObject();
      for (;;) {
        const name = this.takeString();
        if (!this.skip(":")) return undefined;
        if (name === key) return this.takeString();
        this.#skipValue();
        if (!this.skip(",")) return undefined;
      }
    } finally {
      this.at = start;
    }
  }

  /** Passes any value; brackets are counted, not matched, and what is no string is not looked at. */
  #skipValue(): void {
    let depth = 0;
    for (;;) {
      const code = this.#code(this.at);
      if (code === 0) throw OFF_TEXT;
      if (code === QUOTE) this.#skipString();
      else {
        const step = depthStep(code);
        if (depth === 0 && (code === COMMA || step < 0)) return;
        depth += step;
        this.at += 1;
      }
    }
  }

  #takeWord<T>(word: string, value: T): T {
    if (!this.skip(word)) throw OFF_TEXT;
    return value;
  }
}

/** How much deeper it is behind a character. */
function depthStep(code: number): number {
  // '[' and '{', ']' and '}' differ in one bit.
  const bracket = code | 0x20;
  if (bracket === OPEN_BRACE) return 1;
  return bracket === CLOSE_BRACE ? -1 : 0;
}
