/**
 * A text as it reads behind escapes and look-alikes: percent, backslash and entity escapes decoded, digits, hyphens and spaces of any
 * script made ASCII, invisible characters gone. What is found in the view has its place in the text.
 */

import { skeletonOf } from "./skeleton.ts";
import { EXTRAORDINARY, MARK, type Marks } from "./text-marks.ts";

/** What may stand in a text that reads otherwise. */
const VIEWED: Marks = EXTRAORDINARY | MARK.percent | MARK.backslash | MARK.entity;

const ESCAPE =
  /%[0-9A-Fa-f]{2}|\\u\{[0-9A-Fa-f]{1,6}\}|\\u[0-9A-Fa-f]{4}|\\x[0-9A-Fa-f]{2}|&#x[0-9A-Fa-f]{1,6};|&#[0-9]{1,7};/u;
/** Marks on ASCII; what shows nothing; digits, hyphens, spaces; ASCII in other forms; letters of two scripts in a Latin word. */
const LOOK_ALIKE =
  /(?<=[ -~])\p{M}{1,64}|[\p{Default_Ignorable_Code_Point}\p{Cf}\p{N}\p{Pd}\u2212\p{Zs}\uff01-\uff5e\u{1d400}-\u{1d7ff}]|(?<=[A-Za-z0-9@])[\p{Script=Cyrillic}\p{Script=Greek}]|[\p{Script=Cyrillic}\p{Script=Greek}](?=[A-Za-z0-9@])/u;
const READ_OTHERWISE = new RegExp(`${ESCAPE.source}|(?![\\0-\\x7f])(?:${LOOK_ALIKE.source})`, "gu");

/** The view of a text; undefined if it reads as it stands. Cost: linear. */
export function plainView(text: string, marks: Marks): string | undefined {
  if ((marks & VIEWED) === 0) return undefined;
  const view = text.replace(READ_OTHERWISE, plainOf);
  return view === text ? undefined : view;
}

/** A piece of the view, and where it stands in the text. */
interface Piece {
  readonly at: number;
  readonly from: number;
  readonly to: number;
  /** True if it is the same in both. */
  readonly isSame: boolean;
}

/** Places of a view as places of its text. */
export class ViewPlaces {
  readonly #pieces: readonly Piece[];

  constructor(text: string) {
    const pieces: Piece[] = [];
    let at = 0;
    let from = 0;
    for (const { 0: whole, index } of text.matchAll(READ_OTHERWISE)) {
      if (index > from) pieces.push({ at, from, to: index, isSame: true });
      at += index - from;
      from = index + whole.length;
      pieces.push({ at, from: index, to: from, isSame: false });
      at += plainOf(whole).length;
    }
    pieces.push({ at, from, to: text.length, isSame: true });
    this.#pieces = pieces;
  }

  /** Offset in the text of the character of the view at `at`. */
  start(at: number): number {
    const piece = this.#pieceAt(at);
    return piece.isSame ? piece.from + at - piece.at : piece.from;
  }

  /** Offset in the text behind the last character before `at`. */
  end(at: number): number {
    const piece = this.#pieceAt(at - 1);
    return piece.isSame ? piece.from + at - piece.at : piece.to;
  }

  /** The last piece that begins there or before; empty ones are passed over, since another begins at the same place. */
  #pieceAt(at: number): Piece {
    let [low, high] = [0, this.#pieces.length - 1];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if ((this.#pieces[middle]?.at ?? 0) <= at) low = middle;
      else high = middle - 1;
    }
    return this.#pieces[low] ?? { at: 0, from: 0, to: 0, isSame: true };
  }
}

function plainOf(whole: string): string {
  if (whole.charCodeAt(0) < 0x80) return fromEscape(whole);
  const known = PLAIN.get(whole);
  if (known !== undefined) return known;
  const plain = fromLookAlike(whole);
  if (PLAIN.size < MAX_KNOWN) PLAIN.set(whole, plain);
  return plain;
}

/** What characters were read as; there are few that texts use. */
const PLAIN = new Map<string, string>();
const MAX_KNOWN = 4096;

/** `%41`, `\u0041`, `\u{41}`, `\x41`, `&#x41;`, `&#65;`. Octets beyond ASCII stand for themselves: what is looked for is ASCII. */
function fromEscape(whole: string): string {
  const isDecimal = whole.startsWith("&#") && whole.charAt(2) !== "x";
  const digits = isDecimal ? whole.slice(2, -1) : whole.replace(/^(?:%|\\u\{?|\\x|&#x)/u, "").replace(/[};]$/u, "");
  const code = Number.parseInt(digits, isDecimal ? 10 : 16);
  return code <= 0x10ffff ? String.fromCodePoint(code) : whole;
}

function fromLookAlike(whole: string): string {
  if (/^(?:[\p{Default_Ignorable_Code_Point}\p{Cf}]|\p{M}{1,64})$/u.test(whole)) return "";
  if (/^[\p{Pd}\u2212]$/u.test(whole)) return "-";
  if (/^\p{Zs}$/u.test(whole)) return " ";
  const normal = whole.normalize("NFKC");
  if (/^\p{Nd}$/u.test(normal) && normal.charCodeAt(0) >= 0x80) return String(digitOf(normal));
  return /^\p{L}$/u.test(normal) && normal.charCodeAt(0) >= 0x80 ? skeletonOf(normal) : normal;
}

/** Digits of a script stand together, ten of them, from its zero on. */
function digitOf(digit: string): number {
  const code = digit.codePointAt(0) ?? 0;
  let value = 0;
  while (value < 9 && /^\p{Nd}$/u.test(String.fromCodePoint(code - value - 1))) value += 1;
  return value;
}
