/**
 * The value of a message, read once for everybody who looks at its bytes: scan, inspection, data flow and commitments. What is
 * known of an array of bytes is kept as long as the array is there, so nobody may write into one that was received or made.
 */

import { parseSpelledJson, readJsonText, type SpelledJson } from "../../kernel/json/parse.ts";
import type { JsonValue } from "../../kernel/json/value.ts";
import { Given } from "../given.ts";
import { recentText } from "./recent-texts.ts";

/** A message that was read, or made of one that was. */
export interface MessageValue {
  readonly text: string;
  readonly value: JsonValue;
  /** False if a number of the text is one that a double does not carry: `value` has it rounded. */
  readonly isExact: boolean;
  /** What was seen while it was read; undefined of one that was made. */
  readonly spelling?: SpelledJson;
}

/** Depth of a message: the strict scan refuses deeper ones. */
export const MAX_MESSAGE_DEPTH = 64;

/** Values and keys of a message: the strict scan refuses more. One of many small values would be a hundred times its own size. */
export const MAX_MESSAGE_TOKENS = 200_000;

const LIMITS = {
  maxBytes: Number.MAX_SAFE_INTEGER,
  maxDepth: MAX_MESSAGE_DEPTH,
  maxTokens: MAX_MESSAGE_TOKENS,
  numbers: "rounded",
} as const;

/** Bytes that hold what is known of them. */
class KnownBytes extends Given {
  #message: MessageValue;

  constructor(bytes: Uint8Array, message: MessageValue) {
    super(bytes);
    this.#message = message;
  }

  static messageOf(bytes: object): MessageValue | undefined {
    return #message in bytes ? bytes.#message : undefined;
  }
}

/**
 * Reads a message; numbers are rounded, as servers write them.
 *
 * @throws {FormatError} as parseJson
 */
export function messageValue(bytes: Uint8Array): MessageValue {
  const read = KnownBytes.messageOf(bytes);
  if (read !== undefined) return read;
  const text = readJsonText(bytes, LIMITS);
  const spelling = parseSpelledJson(text, LIMITS);
  const made = { text, value: spelling.value, isExact: spelling.isExact, spelling };
  keepMessage(bytes, made);
  recentText(text).message = made;
  return made;
}

/** Keeps what is known of a message that was made: `value` is what reading `bytes` would give. */
export function keepMessage(bytes: Uint8Array, message: MessageValue): void {
  new KnownBytes(bytes, message);
}
