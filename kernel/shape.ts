/**
 * Shapes: how a JSON value becomes a typed one. A shape reads strictly (unknown members refused, every bound checked)
 * and names the path of the field that is wrong. Most shapes also take their value right from canonical text, by the same
 * rules and without a value in between, and write the canonical text of a value while they check it; what they cannot take
 * or write goes the long way, which names the fault.
 *
 * The interface is written by hand, with its doc comments; `Shape<T>` makes the compiler hold the shape to it.
 */

import { parseBase64 } from "./base64.ts";
import { formatUtf8 } from "./bytes.ts";
import { CheckError, FormatError, isCodedError } from "./errors.ts";
import { parseHex } from "./hex.ts";
import { formatCanonical } from "./json/canonical.ts";
import { constantFacts } from "./json/constant.ts";
import { TextCursor } from "./json/cursor.ts";
import { knowKeys } from "./json/known-keys.ts";
import type { JsonObject, JsonValue } from "./json/value.ts";
import { TextWriter } from "./json/writer.ts";
import { hasHexDigits, isArray, matchesAll, printable, refuse, requireObject } from "./shape-fault.ts";
import {
  formatBy,
  formatObject,
  type MemberList,
  NOT_WRITTEN,
  readMember,
  takeBy,
  takeMembers,
} from "./shape-members.ts";
import { parseTimestamp, type Timestamp } from "./time.ts";

/** Reads a JSON value as a `T`, or throws a FormatError (ERR_SHAPE) that names `path`. */
export interface Shape<T> {
  readonly read: (value: JsonValue, path: string) => T;
  /**
   * Takes the value from canonical text. Never takes what `read` would refuse of the parsed text, and then takes the same;
   * absent where the long way is the only one.
   *
   * @throws {FormatError | CheckError} of any code: nothing is known then, and `read` has to say
   */
  readonly take?: (cursor: TextCursor) => T;
  /**
   * Adds the canonical text of a value that `read` takes and gives back as it is, in all its parts. Never writes what `read`
   * would refuse, or change; absent where the long way is the only one.
   *
   * @throws {FormatError | CheckError} of any code: nothing is known then, and `read` has to say
   */
  readonly format?: (value: JsonValue, out: TextWriter) => void;
  readonly isOptional?: never;
}

/** The shape of a member that may be absent; made by `optional`. */
export interface OptionalShape<T> {
  readonly read: (value: JsonValue, path: string) => T;
  readonly take?: (cursor: TextCursor) => T;
  readonly format?: (value: JsonValue, out: TextWriter) => void;
  readonly isOptional: true;
}

/** One shape per member of `T`: optional ones for optional members, plain ones for the others. */
export type Members<T> = {
  readonly [K in keyof T]-?: Record<never, never> extends Pick<T, K>
    ? OptionalShape<Exclude<T[K], undefined>>
    : Shape<T[K]>;
};

/** What a shape reads. */
export type ShapeValue<S> = S extends Shape<infer T> ? T : never;

/**
 * Reads `value` by `shape`; `root` names the value in messages.
 *
 * @throws {FormatError} ERR_SHAPE
 */
export function readShape<T>(shape: Shape<T>, value: JsonValue, root: string): T {
  return shape.read(value, root);
}

/**
 * What `shape` takes from a whole text, or undefined if it does not take it: then nothing is known about the text.
 *
 * @param text  with a UTF-8 form
 * @param bytes  this form, if it is at hand
 */
export function takeShape<T>(shape: Shape<T>, text: string, bytes?: Uint8Array): T | undefined {
  return takeWithSpans(shape, text, bytes)?.value;
}

/** As `takeShape`, with the places of all `spanned` values in it. */
export function takeWithSpans<T>(
  shape: Shape<T>,
  text: string,
  bytes: Uint8Array = formatUtf8(text),
): { readonly value: T; readonly spans: TextCursor["spans"] } | undefined {
  if (bytes.length !== text.length) return undefined;
  const cursor = new TextCursor(text, bytes);
  try {
    const value = takeBy(shape, cursor);
    return cursor.at === text.length ? { value, spans: cursor.spans } : undefined;
  } catch (error) {
    if (error instanceof FormatError || error instanceof CheckError) return undefined;
    throw error;
  }
}

/**
 * The canonical text of what `shape` reads and gives back as it is, with the places of all `spanned` values in it; undefined
 * if it does not write it: then nothing is known about the value. Cheaper than `readShape` and `formatCanonical`.
 */
export function formatWithSpans<T>(
  shape: Shape<T>,
  value: JsonValue,
): { readonly text: string; readonly spans: TextWriter["spans"] } | undefined {
  const out = new TextWriter();
  try {
    formatBy(shape, value, out);
    return out;
  } catch (error) {
    if (error instanceof FormatError || error instanceof CheckError) return undefined;
    throw error;
  }
}

/** An object with exactly these members; the result holds them in the order of `members`, or sorted if it was taken from text. */
export function object<T>(members: Members<T>): Shape<T> {
  const list = Object.entries(members) as MemberList;
  const names = new Set(list.map(([name]) => name));
  knowKeys(names);
  const read = (value: JsonValue, path: string): T => {
    const source = requireObject(value, path);
    const known = constantFacts(source);
    if (known?.readers.has(read) === true) return source as T;
    for (const key of Object.keys(source)) {
      if (!names.has(key)) throw refuse(`${path}.${printable(key)}`, "no such member", source[key]);
    }
    const result: Record<string, unknown> = {};
    for (const [name, shape] of list) readMember(result, source, name, shape, path);
    known?.readers.add(read);
    return result as T;
  };
  return { read, take: takeMembers<T>(list), format: formatObject(list, read) };
}

/** Marks a member that may be absent. */
export function optional<T>(shape: Shape<T>): OptionalShape<T> {
  return { ...shape, isOptional: true };
}

/** Bounds of a string. */
export interface StringBounds {
  /** Must match the whole string: anchor it. */
  readonly pattern?: RegExp;
  /** UTF-16 code units; default 65,535. */
  readonly maxLength?: number;
  /** What the message wants, for example `a tool name`. */
  readonly description?: string;
}

const DEFAULT_MAX_LENGTH = 65_535;

/** A string; may be empty unless the pattern says otherwise. */
export function string(bounds: StringBounds = {}): Shape<string> {
  const { pattern, maxLength = DEFAULT_MAX_LENGTH } = bounds;
  const want = bounds.description ?? (pattern === undefined ? "a string" : `a string like ${pattern.source}`);
  const read = (value: JsonValue, path: string): string => {
    if (typeof value !== "string") throw refuse(path, want, value);
    if (value.length > maxLength) throw refuse(path, `${want} of at most ${maxLength} characters`, value);
    if (pattern !== undefined && !matchesAll(pattern, value)) throw refuse(path, want, value);
    return value;
  };
  const format = (value: JsonValue, out: TextWriter): void => {
    out.text += formatCanonical(read(value, ""));
  };
  return { read, take: (cursor) => read(cursor.takeString(), ""), format };
}

/** A safe integer with `min <= value <= max`; the defaults are 0 and 2^53 − 1. */
export function integer(bounds: { readonly min?: number; readonly max?: number } = {}): Shape<number> {
  const { min = 0, max = Number.MAX_SAFE_INTEGER } = bounds;
  const read = (value: JsonValue, path: string): number => {
    if (typeof value === "number" && Number.isSafeInteger(value) && value >= min && value <= max) return value;
    throw refuse(path, `an integer from ${min} to ${max}`, value);
  };
  const format = (value: JsonValue, out: TextWriter): void => {
    out.text += String(read(value, ""));
  };
  return { read, take: (cursor) => read(cursor.takeInteger(), ""), format };
}

/** true or false. */
export function boolean(): Shape<boolean> {
  const read = (value: JsonValue, path: string): boolean => {
    if (typeof value === "boolean") return value;
    throw refuse(path, "true or false", value);
  };
  const format = (value: JsonValue, out: TextWriter): void => {
    out.text += read(value, "") ? "true" : "false";
  };
  return { read, take: (cursor) => read(cursor.takeScalar(), ""), format };
}

/** One of the given values. */
export function literal<const T extends readonly (string | number | boolean | null)[]>(...values: T): Shape<T[number]> {
  const allowed: ReadonlySet<unknown> = new Set<unknown>(values);
  const isAllowed = (value: unknown): value is T[number] => allowed.has(value);
  const read = (value: JsonValue, path: string): T[number] => {
    if (isAllowed(value)) return value;
    throw refuse(path, values.map((item) => JSON.stringify(item)).join(" or "), value);
  };
  const texts = new Map<JsonValue, string>(values.map((item) => [item, formatCanonical(item)]));
  const format = (value: JsonValue, out: TextWriter): void => {
    const text = texts.get(value);
    if (text === undefined) throw NOT_WRITTEN;
    out.text += text;
  };
  return { read, take: (cursor) => read(cursor.takeScalar(), ""), format };
}

/** An array of `min` (default 0) to `max` (default 65,535) items. */
export function array<T>(
  shape: Shape<T>,
  bounds: { readonly min?: number; readonly max?: number } = {},
): Shape<readonly T[]> {
  const { min = 0, max = DEFAULT_MAX_LENGTH } = bounds;
  return {
    read: (value, path) => {
      if (!isArray(value)) throw refuse(path, "an array", value);
      if (value.length < min || value.length > max) throw refuse(path, `an array of ${min} to ${max} items`, value);
      return value.map((item, index) => shape.read(item, `${path}[${index}]`));
    },
    take: (cursor) => {
      const items = cursor.takeArray(max, (at) => takeBy(shape, at));
      return items.length < min ? cursor.refuse() : items;
    },
    format: (value, out) => {
      if (!isArray(value) || value.length < min || value.length > max) throw NOT_WRITTEN;
      out.text += "[";
      for (let i = 0; i < value.length; i += 1) {
        const item = value[i];
        if (item === undefined) throw NOT_WRITTEN;
        if (i > 0) out.text += ",";
        formatBy(shape, item, out);
      }
      out.text += "]";
    },
  };
}

/** An object with free keys; at most `max` (default 65,535), each matching `key`. The result has no prototype. */
export function record<T>(
  shape: Shape<T>,
  bounds: { readonly max?: number; readonly key?: RegExp } = {},
): Shape<Readonly<Record<string, T>>> {
  const { max = DEFAULT_MAX_LENGTH, key: pattern } = bounds;
  return {
    read: (value, path) => {
      const entries = Object.entries(requireObject(value, path));
      if (entries.length > max) throw refuse(path, `an object of at most ${max} members`, value);
      const result: Record<string, T> = {};
      Object.setPrototypeOf(result, null);
      for (const [key, item] of entries) {
        const at = `${path}[${printable(key)}]`;
        if (pattern !== undefined && !matchesAll(pattern, key)) throw refuse(at, `a key like ${pattern.source}`, key);
        if (item !== undefined) result[key] = shape.read(item, at);
      }
      return result;
    },
  };
}

/** null or what `shape` reads. */
export function nullable<T>(shape: Shape<T>): Shape<T | null> {
  return {
    read: (value, path) => (value === null ? null : shape.read(value, path)),
    take: (cursor) => (cursor.skip("null") ? null : takeBy(shape, cursor)),
    format: (value, out) => {
      if (value === null) out.text += "null";
      else formatBy(shape, value, out);
    },
  };
}

/** A union told apart by the string member `key`: each tag has a shape, which reads the whole object, `key` included. */
export function tagged<M extends Readonly<Record<string, Shape<unknown>>>>(
  key: string,
  shapes: M,
): Shape<ShapeValue<M[keyof M]>> {
  const byTag = new Map(Object.entries(shapes));
  const want = [...byTag.keys()].map((tag) => JSON.stringify(tag)).join(" or ");
  const read = (value: JsonValue, path: string): ShapeValue<M[keyof M]> => {
    const tag = requireObject(value, path)[key];
    const shape = typeof tag === "string" ? byTag.get(tag) : undefined;
    if (shape === undefined) throw refuse(`${path}.${key}`, want, tag);
    return shape.read(value, path) as ShapeValue<M[keyof M]>;
  };
  const take = (cursor: TextCursor): ShapeValue<M[keyof M]> => {
    const shape = byTag.get(cursor.peekTag(key) ?? "");
    return (shape === undefined ? cursor.refuse() : takeBy(shape, cursor)) as ShapeValue<M[keyof M]>;
  };
  const format = (value: JsonValue, out: TextWriter): void => {
    const tag = requireObject(value, "")[key];
    const shape = typeof tag === "string" ? byTag.get(tag) : undefined;
    if (shape === undefined) throw NOT_WRITTEN;
    formatBy(shape, value, out);
  };
  return { read, take, format };
}

/** Any JSON value, as it is. */
export function json(): Shape<JsonValue> {
  return { read: (value) => value };
}

/** Any JSON object, as it is. */
export function jsonObject(): Shape<JsonObject> {
  return { read: requireObject };
}

/** Lower-case hexadecimal of `bytes` bytes, kept as text. */
export function hex(bytes: number): Shape<string> {
  const digits = 2 * bytes;
  const { read: readAny } = string({
    pattern: new RegExp(`^[0-9a-f]{${digits}}$`, "u"),
    maxLength: digits,
    description: `${digits} lower-case hexadecimal digits`,
  });
  const isHex = (value: JsonValue): value is string =>
    typeof value === "string" && value.length === digits && hasHexDigits(value);
  const format = (value: JsonValue, out: TextWriter): void => {
    if (!isHex(value)) throw NOT_WRITTEN;
    out.text += `"${value}"`;
  };
  const read = (value: JsonValue, path: string): string => (isHex(value) ? value : readAny(value, path));
  return { read, take: (cursor) => cursor.takeHex(digits), format };
}

/** Lower-case hexadecimal of `bytes` bytes, read as bytes. */
export function hexBytes(bytes: number): Shape<Uint8Array> {
  return mapped(hex(bytes), (text) => parseHex(text, bytes));
}

/** Canonical padded base64 (of `bytes` bytes, if given), kept as text. */
export function base64(bytes?: number): Shape<string> {
  // What `parseBase64` takes is the one spelling of its bytes.
  return mapped(base64Text(bytes), (text) => {
    parseBase64(text, bytes);
    return text;
  });
}

/** Canonical padded base64 (of `bytes` bytes, if given), read as bytes. */
export function base64Bytes(bytes?: number): Shape<Uint8Array> {
  return mapped(base64Text(bytes), (text) => parseBase64(text, bytes));
}

function base64Text(bytes: number | undefined): Shape<string> {
  const maxLength = bytes === undefined ? 64 * 1024 * 1024 : 4 * Math.ceil(bytes / 3);
  return string({ maxLength, description: "base64" });
}

/** A time as kernel/time.ts spells it. */
export function timestamp(): Shape<Timestamp> {
  return mapped(string({ maxLength: 24, description: "a timestamp" }), parseTimestamp);
}

/**
 * What `shape` reads, put through `parse`: the way from text to a brand.
 * A CheckError of `parse` passes as it is; a FormatError is reported as ERR_SHAPE with the path.
 */
export function mapped<A, B>(shape: Shape<A>, parse: (value: A) => B): Shape<B> {
  return {
    read: (value, path) => {
      const inner = shape.read(value, path);
      try {
        return parse(inner);
      } catch (error) {
        if (!isCodedError(error) || !(error instanceof FormatError)) throw error;
        throw new FormatError("ERR_SHAPE", `${path}: ${error.message}`, { cause: error });
      }
    },
    take: (cursor) => parse(takeBy(shape, cursor)),
    format: (value, out) => {
      formatBy(shape, value, out);
      // What `shape` writes is what it reads, as it is; so is this, unless the parser makes something else of it.
      const parsed: unknown = parse(value as A);
      if (parsed !== value) throw NOT_WRITTEN;
    },
  };
}
