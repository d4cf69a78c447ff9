/**
 * The members of an object by their shapes: read from a value, taken from canonical text, written as such. What
 * kernel/shape.ts builds its objects of.
 */

import { formatUtf8 } from "./bytes.ts";
import { FormatError } from "./errors.ts";
import { formatCanonical } from "./json/canonical.ts";
import { constantFacts, isUnchanging } from "./json/constant.ts";
import type { TextCursor } from "./json/cursor.ts";
import type { JsonObject, JsonValue } from "./json/value.ts";
import type { TextWriter } from "./json/writer.ts";
import type { OptionalShape, Shape } from "./shape.ts";
import { refuse, requireObject } from "./shape-fault.ts";

/** Names and shapes of an object's members. */
export type MemberList = readonly (readonly [string, Shape<unknown> | OptionalShape<unknown>])[];

/**
 * A member in its place in canonical text. Most members of a receipt are those of the receipt before it: the last value is
 * remembered, if it cannot change, and its text once it came again. It was checked then, and so it is now.
 */
class PlacedMember {
  readonly name: string;
  readonly shape: Shape<unknown> | OptionalShape<unknown>;
  /** Its key as it stands behind the brace, and behind a comma. */
  readonly key: string;
  readonly nextKey: string;
  readonly #keyBytes: Uint8Array;
  readonly #nextKeyBytes: Uint8Array;
  #last: JsonValue | undefined;
  #lastText: string | undefined;

  constructor(name: string, shape: Shape<unknown> | OptionalShape<unknown>) {
    this.name = name;
    this.shape = shape;
    this.key = `${formatCanonical(name)}:`;
    this.nextKey = `,${this.key}`;
    this.#keyBytes = formatUtf8(this.key);
    this.#nextKeyBytes = formatUtf8(this.nextKey);
  }

  /** Takes the key if it is there; false if not. */
  skipKey(cursor: TextCursor, isFirst: boolean): boolean {
    return cursor.skipBytes(isFirst ? this.#keyBytes : this.#nextKeyBytes);
  }

  /** Adds key and value. @throws {FormatError | CheckError} of any code */
  format(value: JsonValue, isFirst: boolean, out: TextWriter): void {
    out.text += isFirst ? this.key : this.nextKey;
    if (value === this.#last) {
      this.#lastText ??= formatCanonical(value);
      out.text += this.#lastText;
      return;
    }
    const { length } = out.spans;
    formatBy(this.shape, value, out);
    if (!isUnchanging(value) || out.spans.length !== length) return;
    this.#last = value;
    this.#lastText = undefined;
  }
}

function placed(list: MemberList): readonly PlacedMember[] {
  const sorted = list.toSorted(([a], [b]) => (a < b ? -1 : 1));
  return sorted.map(([name, shape]) => new PlacedMember(name, shape));
}

/** Reads the member `name` of `source` into `result`. @throws {FormatError} ERR_SHAPE */
export function readMember(
  result: Record<string, unknown>,
  source: JsonObject,
  name: string,
  shape: Shape<unknown> | OptionalShape<unknown>,
  path: string,
): void {
  const value = Object.hasOwn(source, name) ? source[name] : undefined;
  if (value !== undefined) result[name] = shape.read(value, `${path}.${name}`);
  else if (shape.isOptional !== true) throw refuse(`${path}.${name}`, "a value", undefined);
}

/** Members in the order of canonical text, each looked for where it must stand: that refuses unknown and repeated ones. */
export function takeMembers<T>(list: MemberList): (cursor: TextCursor) => T {
  const members = placed(list);
  return (cursor) => {
    const result: Record<string, unknown> = {};
    let isFirst = true;
    cursor.openObject();
    for (const member of members) {
      if (member.skipKey(cursor, isFirst)) {
        result[member.name] = takeBy(member.shape, cursor);
        isFirst = false;
      } else if (member.shape.isOptional !== true) cursor.refuse();
    }
    cursor.closeObject();
    return result as T;
  };
}

/**
 * Members in canonical order. As many were written as the object has, and it inherits none of them, so it has no other; one
 * that is there and undefined is left to the long way.
 *
 * @param read  stands for the shape in what is known of constants
 */
export function formatObject(list: MemberList, read: unknown): (value: JsonValue, out: TextWriter) => void {
  const members = placed(list);
  const isInherited = members.some(({ name }) => name in Object.prototype);
  return (value, out) => {
    const source = requireObject(value, "");
    const known = constantFacts(source);
    if (known?.text !== undefined && known.readers.has(read)) {
      out.text += known.text;
      return;
    }
    const start = out.text.length;
    const { length } = out.spans;
    const count = formatMembers(members, source, out);
    if (isInherited || !hasOnly(source, count)) throw NOT_WRITTEN;
    if (known === undefined || out.spans.length !== length) return;
    known.readers.add(read);
    known.text ??= out.text.slice(start);
  };
}

/** True for a plain object with so many members of its own. A loop, since a list of them would be made only to be counted. */
export function hasOnly(source: JsonObject, count: number): boolean {
  const prototype: unknown = Object.getPrototypeOf(source);
  if (prototype !== Object.prototype && prototype !== null) return false;
  let found = 0;
  for (const name in source) if (hasOwn.call(source, name)) found += 1;
  return found === count;
}

/** In such a loop the engine knows the answer of this one, and not that of `Object.hasOwn`. */
const { hasOwnProperty: hasOwn } = Object.prototype;

/** @returns how many there are */
function formatMembers(members: readonly PlacedMember[], source: JsonObject, out: TextWriter): number {
  let count = 0;
  out.text += "{";
  for (const member of members) {
    const value = source[member.name];
    if (value !== undefined) {
      member.format(value, count === 0, out);
      count += 1;
    } else if (member.shape.isOptional !== true) throw NOT_WRITTEN;
  }
  out.text += "}";
  return count;
}

/** Thrown where a shape does not write a value; one for all, since nobody is shown it. */
export const NOT_WRITTEN: FormatError = new FormatError("ERR_SHAPE", "not a value that this shape writes");

/** Adds the text of a value that `shape` reads and keeps. @throws {FormatError | CheckError} of any code */
export function formatBy({ format }: Shape<unknown> | OptionalShape<unknown>, value: JsonValue, out: TextWriter): void {
  if (format === undefined) throw NOT_WRITTEN;
  format(value, out);
}

/** What `shape` takes at the cursor. @throws {FormatError | CheckError} of any code */
export function takeBy<T>({ take }: Shape<T> | OptionalShape<T>, cursor: TextCursor): T {
  return take === undefined ? cursor.refuse() : take(cursor);
}
