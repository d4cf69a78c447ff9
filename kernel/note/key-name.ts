/** Names of keys in signed notes (C2SP signed-note). */

import { FormatError } from "../errors.ts";

// SPEC signed-note: a key name MUST be non-empty, and MUST NOT contain any Unicode spaces or plus.
// Spaces are those of White_Space; a note cannot hold control characters, and a lone surrogate has no UTF-8.
const FORBIDDEN = /[\p{White_Space}+\p{Cs}]/u;

/**
 * `text` as a key name.
 *
 * @throws {FormatError} ERR_KEY_NAME if it is empty or holds a space, a plus sign or a control character
 */
export function parseKeyName(text: string): string {
  if (text === "" || FORBIDDEN.test(text) || [...text].some((character) => character < " ")) {
    throw new FormatError("ERR_KEY_NAME", "want a key name that is not empty and holds no space and no plus sign");
  }
  return text;
}
