/**
 * The value of a message, read once for everybody who looks at its bytes: scan, inspection, data flow and commitments. What is
 * known of an array of bytes is kept as long as the array is there, so nobody may write into one that was received or made.
 */

import { parseSpelledJson, readJsonText } from "../../kernel/json/parse.ts";
import type { JsonValue } from "../../kernel/json/value.ts";

/** A message that was read. */
export interface MessageValue {
  readonly text: string;
  readonly value: JsonValue;
  /** False if a number of the text is one that a double does not carry: `value` has it rounded. */
  readonly isExact: boolean;
}

/** Depth of a message: the strict scan refuses deeper ones. */
const LIMITS = { maxBytes: Number.MAX_SAFE_INTEGER, maxDepth: 64, numbers: "rounded" } as const;

const known = new WeakMap<Uint8Array, MessageValue>();

/**
 * Reads a message; numbers are rounded, as servers write them.
 *
 * @throws {FormatError} as parseJson
 */
export function messageValue(bytes: Uint8Array): MessageValue {
  const read = known.get(bytes);
  if (read !== undefined) return read;
  const text = readJsonText(bytes, LIMITS);
  const { value, isExact } = parseSpelledJson(text, LIMITS);
  const made = { text, value, isExact };
  known.set(bytes, made);
  return made;
}
