/**
 * Strict JSON (RFC 8259 within the bounds of I-JSON, RFC 7493): what two readers could understand differently is refused.
 *
 * Refused beyond bad syntax: equal keys, lone surrogates (raw or escaped), numbers that a double does not carry (unsafe
 * integers, overflow, underflow to zero, negative zero), a byte order mark, bytes after the value, invalid UTF-8, too
 * many bytes, too deep nesting. Objects have no prototype, so `__proto__` is a key like any other.
 */

import { formatUtf8, parseUtf8 } from "../bytes.ts";
import { FormatError, invariant } from "../errors.ts";
import { addToHash, knownKey } from "./known-keys.ts";
import { isWellFormed, type JsonObject, type JsonValue, newObject } from "./value.ts";

/** Bounds of one document. */
export interface JsonLimits {
  /** UTF-8 bytes of the document; default 4 MiB. */
  readonly maxBytes?: number;
  /** Nested arrays and objects; default 64, at most 1,000. */
  readonly maxDepth?: number;
  /** Values, the nested ones among them; default: as many as fit. What has more is not read to its end. */
  readonly maxTokens?: number;
  /** `exact` (default) refuses numbers that a double does not carry; `rounded` reads them as ECMAScript does, −0 as 0. */
  readonly numbers?: "exact" | "rounded";
}

const DEFAULT_MAX_BYTES = 4 * 1024 * 1024;
const DEFAULT_MAX_DEPTH = 64;
const MAX_DEPTH = 1000;
/** More values than any text has. */
const NO_MAX_TOKENS = 0x3fff_ffff;
/** So many objects of a document are laid out by their keys; a new layout costs the engine some times what a hash table does. */
const MAX_SHAPED = 256;
/** Every integer of so many digits is safe. */
const SAFE_DIGITS = 15;
const MAX_SAFE = Number.MAX_SAFE_INTEGER;

const TAB = 0x09;
const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const SPACE = 0x20;
const QUOTE = 0x22;
const COMMA = 0x2c;
const MINUS = 0x2d;
const POINT = 0x2e;
const ZERO = 0x30;
const NINE = 0x39;
const COLON = 0x3a;
const OPEN_BRACKET = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_BRACKET = 0x5d;
const LOWER_E = 0x65;
const LOWER_F = 0x66;
const LOWER_N = 0x6e;
const LOWER_T = 0x74;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
/** The bit that makes an ASCII letter lower case. */
const LOWER_CASE = 0x20;

const PROTO = "__proto__";

/** A whole number token: no character follows that could belong to it. */
const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?(?![-+.0-9eE])/y;
/** A digit other than zero in front of the exponent. */
const NONZERO = /^[-.0]*[1-9]/;
const ESCAPE = /\\(?:u[0-9a-fA-F]{4}|["\\/bfnrt])/y;
const ESCAPED: Readonly<Record<string, string>> = { b: "\b", f: "\f", n: "\n", r: "\r", t: "\t" };

/**
 * The value of one JSON document.
 *
 * @throws {FormatError} ERR_JSON_SIZE, ERR_UTF8, ERR_JSON_SYNTAX, ERR_JSON_DUPLICATE_KEY, ERR_JSON_SURROGATE,
 *   ERR_JSON_NUMBER, ERR_JSON_DEPTH, ERR_JSON_TOKENS; the first fault in the text decides (size and encoding before all others)
 */
export function parseJson(input: Uint8Array | string, limits: JsonLimits = {}): JsonValue {
  return parseJsonText(readJsonText(input, limits), limits);
}

/**
 * The text of a document: within its size, and with a UTF-8 form.
 *
 * @throws {FormatError} ERR_JSON_SIZE, ERR_UTF8, ERR_JSON_SURROGATE
 */
export function readJsonText(input: Uint8Array | string, limits: JsonLimits): string {
  const maxBytes = limits.maxBytes ?? DEFAULT_MAX_BYTES;
  if (input.length > maxBytes) throw new FormatError("ERR_JSON_SIZE", `want at most ${maxBytes} bytes of JSON`);
  if (typeof input !== "string") return parseUtf8(input);
  if (!isWellFormed(input)) throw new FormatError("ERR_JSON_SURROGATE", "the text holds a lone surrogate");
  if (input.length * 3 > maxBytes && formatUtf8(input).length > maxBytes) {
    throw new FormatError("ERR_JSON_SIZE", `want at most ${maxBytes} bytes of JSON`);
  }
  return input;
}

/** The value of a text that `readJsonText` returned. */
export function parseJsonText(text: string, limits: JsonLimits): JsonValue {
  return makeScanner(text, limits).readDocument();
}

/** A value, and whether its text is the RFC 8785 form of it. */
export interface SpelledJson {
  readonly value: JsonValue;
  readonly isCanonical: boolean;
  /** False if a number was rounded that exact reading refuses. */
  readonly isExact: boolean;
  /** Number of values and keys. */
  readonly tokens: number;
  /** Members or items of the longest object or array. */
  readonly longest: number;
  /** True if an object has the key `__proto__`, which is no key like any other to readers whose objects have a prototype. */
  readonly hasProtoKey: boolean;
}

/** As `parseJsonText`; says too how the value is spelled, which costs next to nothing while it is read. */
export function parseSpelledJson(text: string, limits: JsonLimits): SpelledJson {
  const scanner = makeScanner(text, limits);
  const value = scanner.readDocument();
  const { isCanonical, hasRounded, tokens, longest, hasProtoKey } = scanner;
  return { value, isCanonical, isExact: !hasRounded, tokens, longest, hasProtoKey };
}

function makeScanner(text: string, limits: JsonLimits): Scanner {
  const maxDepth = limits.maxDepth ?? DEFAULT_MAX_DEPTH;
  invariant(maxDepth >= 0 && maxDepth <= MAX_DEPTH, "parseJson: maxDepth out of range");
  return new Scanner(text, maxDepth, limits.maxTokens ?? NO_MAX_TOKENS, limits.numbers !== "rounded");
}

/** Reads one text from left to right; `at` is the next character. */
class Scanner {
  /** False once something was read that RFC 8785 spells otherwise: white space, an unsorted key, another escape or number. */
  isCanonical = true;
  /** True once a number was read that a double does not carry. */
  hasRounded = false;
  hasProtoKey = false;
  tokens = 0;
  longest = 0;
  private at = 0;
  private objects = 0;
  private depthLeft: number;
  private readonly text: string;
  private readonly maxTokens: number;
  private readonly isExact: boolean;

  constructor(text: string, maxDepth: number, maxTokens: number, isExact: boolean) {
    this.text = text;
    this.depthLeft = maxDepth;
    this.maxTokens = maxTokens;
    this.isExact = isExact;
  }

  readDocument(): JsonValue {
    const value = this.readValue(this.skipSpace());
    this.skipSpace();
    if (this.at < this.text.length) this.fail("nothing after the value");
    return value;
  }

  /** Reads the value that starts with the character `code`, which is the next one. */
  private readValue(code: number): JsonValue {
    this.tokens += 1;
    if (this.tokens > this.maxTokens) this.refuseMore();
    switch (code) {
      case QUOTE:
        return this.readString();
      case OPEN_BRACE:
        return this.readObject();
      case OPEN_BRACKET:
        return this.readArray();
      case LOWER_T:
        return this.readWord("true", true);
      case LOWER_F:
        return this.readWord("false", false);
      case LOWER_N:
        return this.readWord("null", null);
      default:
        return this.readNumber(code);
    }
  }

  private readObject(): JsonValue {
    this.enter();
    const object: Record<string, JsonValue> = this.objects < MAX_SHAPED ? newObject() : { __proto__: null };
    this.objects += 1;
    let greatest: string | undefined;
    let code = this.skipSpace();
    if (code === CLOSE_BRACE) return this.leave(object, 0);
    for (let count = 1; ; count += 1) {
      if (code !== QUOTE) this.fail("a key");
      const key = this.readKey();
      // RFC 8785 §3.2.3: sorted by UTF-16 code units. A key above all before it is new.
      if (greatest === undefined || key > greatest) greatest = key;
      else this.requireNew(object, key);
      if (key === PROTO) this.hasProtoKey = true;
      if (this.skipSpace() !== COLON) this.fail("a colon");
      this.at += 1;
      object[key] = this.readValue(this.skipSpace());
      code = this.skipSpace();
      if (code === CLOSE_BRACE) {
        this.tokens += count;
        return this.leave(object, count);
      }
      if (code !== COMMA) this.fail("a comma or a closing brace");
      this.at += 1;
      code = this.skipSpace();
    }
  }

  /** A key that is not behind all others of its object. */
  private requireNew(object: JsonObject, key: string): void {
    this.isCanonical = false;
    if (object[key] === undefined) return;
    throw new FormatError("ERR_JSON_DUPLICATE_KEY", `two equal keys, the second before character ${this.at}`);
  }

  private readArray(): JsonValue {
    this.enter();
    const array: JsonValue[] = [];
    let code = this.skipSpace();
    if (code === CLOSE_BRACKET) return this.leave(array, 0);
    for (;;) {
      array.push(this.readValue(code));
      code = this.skipSpace();
      if (code === CLOSE_BRACKET) return this.leave(array, array.length);
      if (code !== COMMA) this.fail("a comma or a closing bracket");
      this.at += 1;
      code = this.skipSpace();
    }
  }

  private refuseMore(): never {
    throw new FormatError("ERR_JSON_TOKENS", `more than ${this.maxTokens} values before character ${this.at}`);
  }

  private enter(): void {
    if (this.depthLeft === 0) throw new FormatError("ERR_JSON_DEPTH", `nested too deep at character ${this.at}`);
    this.depthLeft -= 1;
    this.at += 1;
  }

  private leave<T>(value: T, length: number): T {
    if (length > this.longest) this.longest = length;
    this.depthLeft += 1;
    this.at += 1;
    return value;
  }

  /** Reads a key from its opening quote. */
  private readKey(): string {
    const { text } = this;
    const start = this.at + 1;
    let hash = 0;
    let end = start;
    let code = text.charCodeAt(end);
    // Behind the end of the text it is NaN, which no comparison holds for.
    while (code > QUOTE && code !== BACKSLASH) {
      hash = addToHash(hash, code);
      end += 1;
      code = text.charCodeAt(end);
    }
    const key = code === QUOTE ? knownKey(text, start, end, hash) : undefined;
    if (key === undefined) return this.readString();
    this.at = end + 1;
    return key;
  }

  /** Reads a string from its opening quote; the common one, without escapes, is a slice of the text. */
  private readString(): string {
    const { text } = this;
    const start = this.at + 1;
    for (let i = start; i < text.length; i += 1) {
      const code = text.charCodeAt(i);
      if (code === QUOTE) {
        this.at = i + 1;
        return text.slice(start, i);
      }
      if (code === BACKSLASH) return this.readEscapedString(start, i);
      if (code < SPACE) break;
    }
    return this.fail("a string that ends, control characters escaped");
  }

  /** Continues a string that began at `start` and has its first escape at `i`. */
  private readEscapedString(start: number, i: number): string {
    const { text } = this;
    let value = text.slice(start, i);
    this.at = i;
    for (;;) {
      const code = text.charCodeAt(this.at);
      if (code === QUOTE) break;
      if (code === BACKSLASH) value += this.readEscape();
      else value += this.readPlain();
    }
    this.at += 1;
    if (isWellFormed(value)) {
      if (JSON.stringify(value) !== text.slice(start - 1, this.at)) this.isCanonical = false;
      return value;
    }
    throw new FormatError("ERR_JSON_SURROGATE", `an escaped lone surrogate before character ${this.at}`);
  }

  /** Reads at least one character up to the next quote or backslash. */
  private readPlain(): string {
    const { text } = this;
    const start = this.at;
    let code = text.charCodeAt(start);
    while (code >= SPACE && code !== QUOTE && code !== BACKSLASH) {
      this.at += 1;
      code = text.charCodeAt(this.at);
    }
    return this.at > start ? text.slice(start, this.at) : this.fail("a string that ends, control characters escaped");
  }

  private readEscape(): string {
    const sequence = this.match(ESCAPE);
    if (sequence === undefined) return this.fail("an escape of RFC 8259");
    if (sequence.length === 2) return ESCAPED[sequence.charAt(1)] ?? sequence.charAt(1);
    return String.fromCharCode(Number.parseInt(sequence.slice(2), 16));
  }

  /** Reads a number; short plain integers, nearly all of ours, need no text. */
  private readNumber(first: number): number {
    const { text } = this;
    const start = this.at;
    let i = first === MINUS ? start + 1 : start;
    const digits = i;
    let value = 0;
    let code = text.charCodeAt(i);
    while (code >= ZERO && code <= NINE) {
      value = value * 10 + (code - ZERO);
      i += 1;
      code = text.charCodeAt(i);
    }
    const count = i - digits;
    const isPlain = code !== POINT && (code | LOWER_CASE) !== LOWER_E;
    const hasLeadingZero = text.charCodeAt(digits) === ZERO && count > 1;
    if (!isPlain || count === 0 || count > SAFE_DIGITS || value === 0 || hasLeadingZero) return this.readAnyNumber();
    this.at = i;
    return first === MINUS ? -value : value;
  }

  /** Reads a number of any spelling and refuses what a double does not carry. */
  private readAnyNumber(): number {
    const start = this.at;
    const spelling = this.match(NUMBER);
    if (spelling === undefined) return this.fail("a value");
    const value = Number(spelling);
    if (String(value) !== spelling) this.isCanonical = false;
    const isLost = value === 0 ? spelling.startsWith("-") || NONZERO.test(spelling) : Math.abs(value) > MAX_SAFE;
    if (!isLost) return value;
    this.hasRounded = true;
    if (!this.isExact) return value === 0 ? 0 : value;
    throw new FormatError("ERR_JSON_NUMBER", `a number that a double does not carry at character ${start}`);
  }

  private readWord<T>(word: string, value: T): T {
    if (!this.text.startsWith(word, this.at)) this.fail("a value");
    this.at += word.length;
    return value;
  }

  /** What the sticky `pattern` matches here, consumed. */
  private match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text)?.[0];
    this.at += found?.length ?? 0;
    return found;
  }

  /** Skips white space and returns the next character, NaN at the end. */
  private skipSpace(): number {
    const { text } = this;
    let code = text.charCodeAt(this.at);
    while (code <= SPACE && (code === SPACE || code === LINE_FEED || code === CARRIAGE_RETURN || code === TAB)) {
      this.isCanonical = false;
      this.at += 1;
      code = text.charCodeAt(this.at);
    }
    return code;
  }

  private fail(want: string): never {
    throw new FormatError("ERR_JSON_SYNTAX", `want ${want} at character ${this.at} of ${this.text.length}`);
  }
}
