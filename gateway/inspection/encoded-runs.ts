/**
 * A text with the runs of base64, base64url or hexadecimal digits in it that decode to text, and those in them: what they say, and
 * where they stand. They are found once for all that looks at the text.
 */

import { isWholeText, textOfBytes } from "../wire/bytes-text.ts";
import { MARK, type Marks, marksOf } from "./text-marks.ts";

/** A run, and what it decodes to. */
export interface EncodedRun {
  readonly start: number;
  readonly end: number;
  readonly inner: ReadText;
}

/** What is encoded in what is encoded is looked at, so often. */
const MAX_DEPTH = 3;
/** Shorter runs hold nothing that is looked for. */
const MIN_RUN = 12;
/** Words are of one case, and base64 of text has capitals; runs of this length are no words. */
const LONG_RUN = 40;
/** Of a line that is no text as a whole so much is tried by itself. */
const MAX_HEAD = 16_384;
const SPLITTERS = "/+_-\r\n";
const LINE_ENDS = "\r\n";
const HEX = /^(?:0x)?[0-9a-fA-F]{14,}$/u;
const NO_RUNS: readonly EncodedRun[] = [];

/** A text that is looked at; what is found out about it is found out once. */
export class ReadText {
  readonly text: string;
  readonly #depth: number;
  #marks: Marks | undefined;
  #runs: readonly EncodedRun[] | undefined;

  /** @param depth  how many encodings it was in */
  constructor(text: string, depth = 0) {
    this.text = text;
    this.#depth = depth;
  }

  get marks(): Marks {
    this.#marks ??= marksOf(this.text);
    return this.#marks;
  }

  /** True if nothing in it is decoded. */
  get isLast(): boolean {
    return this.#depth >= MAX_DEPTH;
  }

  /** What it says once more read otherwise. */
  below(text: string): ReadText {
    return new ReadText(text, this.#depth + 1);
  }

  /** The runs that are text once they are decoded, those of wrapped lines as one. Cost: linear. */
  get runs(): readonly EncodedRun[] {
    this.#runs ??= this.isLast || (this.marks & MARK.run) === 0 ? NO_RUNS : new Runs(this).all();
    return this.#runs;
  }
}

/** What a run decodes to. */
interface Decoded {
  readonly text: string;
  /** False if a tenth of it at most is no text. Nothing is decoded in that. */
  readonly isWhole: boolean;
}

/** The runs of one text. */
class Runs {
  readonly #read: ReadText;
  readonly #text: string;
  readonly #found: EncodedRun[] = [];

  constructor(read: ReadText) {
    this.#read = read;
    this.#text = read.text;
  }

  all(): readonly EncodedRun[] {
    const text = this.#text;
    for (let at = 0; at < text.length; at += 1) {
      if (!isIn(text, at)) continue;
      const end = endOfRun(text, at);
      if (end - at >= MIN_RUN) this.#add(at, end, (start) => this.#addLines(start, end));
      at = end;
    }
    return this.#found;
  }

  #addLines(start: number, end: number): void {
    for (const [from, to] of partsOf(this.#text, start, end, LINE_ENDS)) {
      const addParts = (): void => this.#addPieces(from, to);
      if (to - from < end - start) this.#add(from, to, addParts);
      else addParts();
    }
  }

  /** Pieces between what may be a separator as well as a digit, and the beginning of what is very long. */
  #addPieces(start: number, end: number): void {
    for (const [from, to] of partsOf(this.#text, start, end, SPLITTERS)) {
      if (to - from < end - start) this.#add(from, to);
    }
    if (end - start > MAX_HEAD) this.#add(start, start + MAX_HEAD);
  }

  /** @param addParts  adds what is in it, if it is not all text; before it, so that what is found twice is found at the lesser place */
  #add(start: number, end: number, addParts?: (start: number) => void): void {
    const decoded = decode(this.#text.slice(start, end).replace(/[\r\n]/gu, ""));
    if (decoded?.isWhole !== true) addParts?.(start);
    if (decoded === undefined) return;
    const { text, isWhole } = decoded;
    const inner = isWhole ? this.#read.below(text) : new ReadText(text, MAX_DEPTH);
    this.#found.push({ start, end: endOfPadding(this.#text, end), inner });
  }
}

/** Parts between these characters, the short ones left out. */
function partsOf(text: string, start: number, end: number, ends: string): readonly (readonly [number, number])[] {
  const parts: [number, number][] = [];
  let from = start;
  for (let at = start; at <= end; at += 1) {
    if (at < end && !ends.includes(text.charAt(at))) continue;
    if (at - from >= MIN_RUN) parts.push([from, at]);
    from = at + 1;
  }
  return parts;
}

function decode(raw: string): Decoded | undefined {
  const hex = HEX.test(raw) ? fromHex(raw) : undefined;
  if (hex?.isWhole === true) return hex;
  const isWord = raw.length < LONG_RUN && !/[A-Z]/u.test(raw);
  const base64 = isWord ? undefined : decodedAs(Buffer.from(raw, "base64"));
  return base64?.isWhole === true ? base64 : (hex ?? base64);
}

function fromHex(raw: string): Decoded | undefined {
  const digits = raw.startsWith("0x") ? raw.slice(2) : raw;
  return digits.length % 2 === 0 ? decodedAs(Buffer.from(digits, "hex")) : undefined;
}

function decodedAs(bytes: Uint8Array): Decoded | undefined {
  const text = textOfBytes(bytes);
  return text === undefined ? undefined : { text, isWhole: isWholeText(bytes, text) };
}

/** Behind a run that goes on over line ends: wrapped base64. */
function endOfRun(text: string, start: number): number {
  let end = start;
  for (;;) {
    while (end < text.length && isIn(text, end)) end += 1;
    const next = text.charAt(end) === "\r" ? end + 1 : end;
    if (text.charAt(next) !== "\n" || !isIn(text, next + 1)) return end;
    end = next + 1;
  }
}

function endOfPadding(text: string, from: number): number {
  let end = from;
  while (end < from + 2 && text.charAt(end) === "=") end += 1;
  return end;
}

function isIn(text: string, at: number): boolean {
  const code = text.charCodeAt(at);
  return code < DIGITS.length && DIGITS[code] === 1;
}

/** Digits of base64 and base64url. */
const DIGITS: Uint8Array = Uint8Array.from({ length: 0x80 }, (_, code) =>
  /[A-Za-z0-9+/_-]/u.test(String.fromCharCode(code)) ? 1 : 0,
);
