/**
 * Finds where a receipt says what it is, without parsing it: its top-level members and where each stands.
 *
 * A scan believes the text. It proves neither canonical form nor JSON inside the values. But every reader that takes the
 * same bytes as JSON sees the members that the scan saw: a key that occurs twice, also when it is spelled with escapes,
 * is refused by parsers. So what a scan attributed to a place in a stream is, for any reader, a receipt of that place or
 * no JSON at all, and never an entry of another form (kernel/entry-kind.ts).
 */

import { isReceiptKind, type ReceiptKind } from "./receipt.ts";

/** What a receipt claims to be; nothing is verified. Its strings are slices, which keep the scanned text in memory. */
export interface ReceiptPlace {
  readonly kind: ReceiptKind;
  /** 64 hexadecimal digits; not known to be a stream. */
  readonly stream: string;
  readonly seq: number;
  /** The hash that it names as the one before, in hexadecimal; undefined exactly if `seq` is 0. */
  readonly prev: string | undefined;
  /** The member `signatures` with the comma in front of it: characters [start, end), counted from the receipt's first. */
  readonly signatures: readonly [start: number, end: number];
}

const QUOTE = 0x22;
const COMMA = 0x2c;
const ZERO = 0x30;
const NINE = 0x39;
const COLON = 0x3a;
const OPEN_BRACKET = 0x5b;
const BACKSLASH = 0x5c;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
/** Every integer of so many digits is safe. */
const SAFE_DIGITS = 15;
const HEX64_CHARACTERS = 64;
const NOT_HEX = /[^0-9a-f]/;

/**
 * The place that a receipt claims, or undefined if its top level is not that of a receipt.
 *
 * @param text   one character for each byte (latin1 or windows-1252): all that is looked at is ASCII
 * @param start  of the receipt in `text`
 * @param end    behind its last character
 * @returns undefined for what is no object, for a member of ours that is missing or there twice, and for a kind, stream,
 *   seq or prev that no receipt can have; cost: one pass, a fraction of a parse
 */
export function scanReceipt(text: string, start = 0, end: number = text.length): ReceiptPlace | undefined {
  return new MemberScan(text, start, end).scan();
}

/** One scan; the first fault ends it. */
class MemberScan {
  private readonly text: string;
  private readonly start: number;
  private readonly end: number;
  private kind = "";
  private stream = "";
  private prev = "";
  private seq = -1;
  private signatures: readonly [number, number] | undefined;

  constructor(text: string, start: number, end: number) {
    this.text = text;
    this.start = start;
    this.end = end;
  }

  scan(): ReceiptPlace | undefined {
    const { text, start, end } = this;
    if (text.charCodeAt(start) !== OPEN_BRACE) return undefined;
    let at = start + 1;
    for (;;) {
      const valueEnd = this.readMember(at);
      if (valueEnd === -1) return undefined;
      const next = text.charCodeAt(valueEnd);
      if (next === CLOSE_BRACE) return valueEnd === end - 1 ? this.place() : undefined;
      if (next !== COMMA) return undefined;
      at = valueEnd + 1;
    }
  }

  /** Place behind the member at `at`; -1 if it is none, or one that no receipt has. */
  private readMember(at: number): number {
    const { text, end } = this;
    const keyEnd = text.charCodeAt(at) === QUOTE ? endOfString(text, at) : -1;
    if (keyEnd === -1 || text.charCodeAt(keyEnd) !== COLON) return -1;
    const valueEnd = endOfValue(text, keyEnd + 1, end);
    return valueEnd === -1 || valueEnd >= end || !this.keep(at, keyEnd, valueEnd) ? -1 : valueEnd;
  }

  /** Takes a member if it is one of ours; false if no receipt has such a value, or if it was there before. */
  private keep(at: number, keyEnd: number, end: number): boolean {
    switch (keyEnd - at) {
      case '"seq"'.length:
        return !this.isKey('"seq"', at) || (this.seq === -1 && this.takeSeq(keyEnd + 1, end));
      case '"kind"'.length:
        if (this.isKey('"kind"', at)) return this.kind === "" && this.takeKind(keyEnd + 1, end);
        return !this.isKey('"prev"', at) || (this.prev === "" && this.takePrev(keyEnd + 1, end));
      case '"stream"'.length:
        return !this.isKey('"stream"', at) || (this.stream === "" && this.takeStream(keyEnd + 1, end));
      case '"signatures"'.length:
        return !this.isKey('"signatures"', at) || this.takeSignatures(at, end);
      default:
        return true;
    }
  }

  private isKey(key: string, at: number): boolean {
    return this.text.startsWith(key, at);
  }

  private takeKind(at: number, end: number): boolean {
    this.kind = this.text.charCodeAt(at) === QUOTE ? this.text.slice(at + 1, end - 1) : "";
    return this.kind !== "";
  }

  private takeStream(at: number, end: number): boolean {
    this.stream = this.readHex64(at, end);
    return this.stream !== "";
  }

  private takePrev(at: number, end: number): boolean {
    this.prev = this.readHex64(at, end);
    return this.prev !== "";
  }

  private takeSeq(at: number, end: number): boolean {
    const { text } = this;
    const length = end - at;
    if (length > SAFE_DIGITS || (text.charCodeAt(at) === ZERO && length > 1)) return false;
    let value = 0;
    for (let i = at; i < end; i += 1) {
      const code = text.charCodeAt(i);
      if (code < ZERO || code > NINE) return false;
      value = value * 10 + (code - ZERO);
    }
    this.seq = value;
    return true;
  }

  private takeSignatures(at: number, end: number): boolean {
    const isFirst = this.text.charCodeAt(at - 1) !== COMMA;
    if (this.signatures !== undefined || isFirst) return false;
    this.signatures = [at - 1 - this.start, end - this.start];
    return true;
  }

  /** Empty unless the value is a string of 64 digits. */
  private readHex64(at: number, end: number): string {
    if (end - at !== HEX64_CHARACTERS + 2 || this.text.charCodeAt(at) !== QUOTE) return "";
    const digits = this.text.slice(at + 1, end - 1);
    return NOT_HEX.test(digits) ? "" : digits;
  }

  private place(): ReceiptPlace | undefined {
    const { kind, stream, seq, signatures } = this;
    if (!isReceiptKind(kind) || stream === "" || seq === -1 || signatures === undefined) return undefined;
    const isFirst = seq === 0;
    if ((this.prev === "") !== isFirst || (kind === "stream-open") !== isFirst) return undefined;
    return { kind, stream, seq, prev: isFirst ? undefined : this.prev, signatures };
  }
}

/** Place behind the closing quote of the string that opens at `at`; -1 if it does not end. */
function endOfString(text: string, at: number): number {
  const end = text.indexOf('"', at + 1);
  if (end === -1 || text.charCodeAt(end - 1) !== BACKSLASH) return end === -1 ? -1 : end + 1;
  for (let i = at + 1; i < text.length; i += 1) {
    const code = text.charCodeAt(i);
    if (code === QUOTE) return i + 1;
    if (code === BACKSLASH) i += 1;
  }
  return -1;
}

/** Place behind the value at `at`; -1 if it does not end before `limit`. */
function endOfValue(text: string, at: number, limit: number): number {
  const first = text.charCodeAt(at);
  if (first === QUOTE) return endOfString(text, at);
  if (first === OPEN_BRACE || first === OPEN_BRACKET) return endOfNested(text, at, limit);
  for (let i = at; i < limit; i += 1) {
    const code = text.charCodeAt(i);
    if (code === COMMA || code === CLOSE_BRACE) return i > at ? i : -1;
  }
  return -1;
}

/** Brackets are counted, not matched: which one closes which is for a parser. */
function endOfNested(text: string, at: number, limit: number): number {
  let depth = 0;
  for (let i = at; i < limit; ) {
    const code = text.charCodeAt(i);
    if (code === QUOTE) {
      i = endOfString(text, i);
      if (i === -1) return -1;
      continue;
    }
    i += 1;
    // '[' and '{', ']' and '}' differ in one bit.
    if ((code | 0x20) === OPEN_BRACE) depth += 1;
    else if ((code | 0x20) === CLOSE_BRACE) depth -= 1;
    if (depth === 0) return i;
  }
  return -1;
}
