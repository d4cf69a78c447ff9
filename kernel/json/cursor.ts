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
const COLON = 0x3a;
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

/** A place in a text; every `take…` moves it behind what it read. */
export class TextCursor {
  readonly text: string;
  at = 0;
  /** Where values that were asked to be remembered stand, in their order. */
  readonly spans: (readonly [start: number, end: number])[] = [];

  constructor(text: string) {
    this.text = text;
  }

  /** @throws {FormatError} always */
  refuse(): never {
    throw OFF_TEXT;
  }

  /** Takes `spelling` if it is there; false if not. */
  skip(spelling: string): boolean {
    if (!this.text.startsWith(spelling, this.at)) return false;
    this.at += spelling.length;
    return true;
  }

  /** Takes one character. @throws {FormatError} if it is another */
  expect(code: number): void {
    if (this.text.charCodeAt(this.at) !== code) throw OFF_TEXT;
    this.at += 1;
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
    if (this.text.charCodeAt(this.at) === CLOSE_BRACKET) {
      this.at += 1;
      return items;
    }
    for (;;) {
      if (items.length === max) throw OFF_TEXT;
      items.push(takeItem(this));
      const code = this.text.charCodeAt(this.at);
      this.at += 1;
      if (code === CLOSE_BRACKET) return items;
      if (code !== COMMA) throw OFF_TEXT;
    }
  }

  /** Takes a string of printable ASCII without escapes. */
  takeString(): string {
    const { text } = this;
    if (text.charCodeAt(this.at) !== QUOTE) throw OFF_TEXT;
    const start = this.at + 1;
    let end = start;
    let code = text.charCodeAt(end);
    while (code !== QUOTE) {
      // Behind the end of the text it is NaN, which no comparison holds for.
      if (!(code >= SPACE && code <= TILDE) || code === BACKSLASH) throw OFF_TEXT;
      end += 1;
      code = text.charCodeAt(end);
    }
    this.at = end + 1;
    return text.slice(start, end);
  }

  /** Takes a string of exactly `digits` lower-case hexadecimal digits. */
  takeHex(digits: number): string {
    const { text } = this;
    const start = this.at + 1;
    const end = start + digits;
    if (text.charCodeAt(this.at) !== QUOTE || text.charCodeAt(end) !== QUOTE) throw OFF_TEXT;
    for (let i = start; i < end; i += 1) {
      const code = text.charCodeAt(i);
      const isDigit = (code >= ZERO && code <= NINE) || (code >= LOWER_A && code <= LOWER_F);
      if (!isDigit) throw OFF_TEXT;
    }
    this.at = end + 1;
    return text.slice(start, end);
  }

  /** Takes an integer of up to 15 digits. What follows it must be looked at: it may be more of the number. */
  takeInteger(): number {
    const { text } = this;
    const isNegative = text.charCodeAt(this.at) === MINUS;
    const start = isNegative ? this.at + 1 : this.at;
    let value = 0;
    let end = start;
    for (let code = text.charCodeAt(end); code >= ZERO && code <= NINE; code = text.charCodeAt(end)) {
      value = value * 10 + (code - ZERO);
      end += 1;
    }
    const digits = end - start;
    const hasOddZero = text.charCodeAt(start) === ZERO && (digits > 1 || isNegative);
    if (digits === 0 || digits > SAFE_DIGITS || hasOddZero) throw OFF_TEXT;
    this.at = end;
    return isNegative ? -value : value;
  }

  /** Takes a string, an integer, true, false or null. */
  takeScalar(): string | number | boolean | null {
    switch (this.text.charCodeAt(this.at)) {
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

  /** Takes any value; brackets are counted, not matched. */
  #skipValue(): void {
    const { text } = this;
    let depth = 0;
    do {
      const code = text.charCodeAt(this.at);
      // '[' and '{', ']' and '}' differ in one bit.
      const bracket = code | 0x20;
      if (bracket === OPEN_BRACE || bracket === CLOSE_BRACE) {
        depth += bracket === OPEN_BRACE ? 1 : -1;
        this.at += 1;
      } else if (code === COMMA || code === COLON) {
        this.at += 1;
      } else this.takeScalar();
    } while (depth > 0);
  }

  #takeWord<T>(word: string, value: T): T {
    if (!this.skip(word)) throw OFF_TEXT;
    return value;
  }
}
