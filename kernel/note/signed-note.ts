/**
 * Signed notes (C2SP signed-note).
 *
 *     text LF-terminated ‖ LF ‖ one or more signature lines
 *     line = "— " ‖ name ‖ " " ‖ b64(key id[4] ‖ signature) ‖ LF
 *
 * The last empty line separates text and signatures; the text may hold empty lines. A signature line, wherever it appears
 * in this code, is a string that includes its LF.
 */

import { formatBase64, parseBase64 } from "../base64.ts";
import { concat, formatUint32, formatUtf8, parseUtf8 } from "../bytes.ts";
import { FormatError } from "../errors.ts";
import { parseKeyName } from "./key-name.ts";

/** Bound of a whole note, before anything of it is parsed. */
export const MAX_NOTE_BYTES = 131_072;

/** Bound of signature lines. SPEC signed-note: at least 16 MUST be accepted. */
export const MAX_SIGNATURE_LINES = 100;

const LINE_PREFIX = "— ";
const KEY_ID_BYTES = 4;
/** One signature line, not verified. */
export interface NoteSignature {
  readonly name: string;
  /** Unsigned 32-bit integer. */
  readonly keyId: number;
  /** What follows the id: the signature, or a time and the signature; at least one byte. */
  readonly payload: Uint8Array;
  /** The whole line, LF included. */
  readonly line: string;
}

/** A note in parts, nothing verified. */
export interface SignedNote {
  /** What is signed: includes its last LF, not the separating one. */
  readonly text: string;
  /** At least one, in order. */
  readonly signatures: readonly NoteSignature[];
}

/**
 * Splits a note into its text and its signature lines.
 *
 * @throws {FormatError} ERR_NOTE_SIZE, ERR_UTF8, ERR_NOTE, ERR_KEY_NAME, ERR_BASE64
 */
export function parseNote(note: Uint8Array | string): SignedNote {
  const whole = noteText(note);
  const split = whole.lastIndexOf("\n\n");
  if (split < 0) throw new FormatError("ERR_NOTE", "want an empty line before the signatures");
  const lines = whole.slice(split + 2).split("\n");
  if (lines.pop() !== "") throw new FormatError("ERR_NOTE", "want a newline at the end");
  if (lines.length === 0) throw new FormatError("ERR_NOTE", "want at least one signature line");
  if (lines.length > MAX_SIGNATURE_LINES) {
    throw new FormatError("ERR_NOTE_SIZE", `want at most ${MAX_SIGNATURE_LINES} signature lines, got ${lines.length}`);
  }
  return { text: whole.slice(0, split + 1), signatures: lines.map((line) => parseSignatureLine(`${line}\n`)) };
}

/**
 * The note of `text` and signature lines; the inverse of `parseNote`.
 *
 * @param text   ends in LF
 * @param lines  each with its LF, as `formatSignatureLine` and every signer give them
 * @throws {FormatError} as `parseNote`, or ERR_NOTE if the parts do not come back from the whole
 */
export function formatNote(text: string, lines: readonly string[]): string {
  const note = `${text}\n${lines.join("")}`;
  const parsed = parseNote(note);
  if (parsed.text !== text || parsed.signatures.length !== lines.length) {
    throw new FormatError("ERR_NOTE", "want a text that ends in a newline, and one line a signature");
  }
  return note;
}

/** A signature line, LF included. */
export function formatSignatureLine(name: string, keyId: number, payload: Uint8Array): string {
  return `${LINE_PREFIX}${name} ${formatBase64(concat(formatUint32(keyId), payload))}\n`;
}

/**
 * One signature line.
 *
 * @param line  with its LF
 * @throws {FormatError} ERR_NOTE, ERR_KEY_NAME, ERR_BASE64
 */
export function parseSignatureLine(line: string): NoteSignature {
  if (!line.startsWith(LINE_PREFIX) || !line.endsWith("\n")) {
    throw new FormatError("ERR_NOTE", "want a signature line: em dash, space, name, space, base64, newline");
  }
  const nameEnd = line.indexOf(" ", LINE_PREFIX.length);
  if (nameEnd < 0) throw new FormatError("ERR_NOTE", "want a space between name and signature");
  const name = parseKeyName(line.slice(LINE_PREFIX.length, nameEnd));
  const bytes = parseBase64(line.slice(nameEnd + 1, -1));
  if (bytes.length <= KEY_ID_BYTES) throw new FormatError("ERR_NOTE", "want a signature after the key id");
  const keyId = new DataView(bytes.buffer).getUint32(0);
  return { name, keyId, payload: bytes.slice(KEY_ID_BYTES), line };
}

/** The note as text: bounded, UTF-8, no control characters but LF. */
function noteText(note: Uint8Array | string): string {
  if (note.length > MAX_NOTE_BYTES) throw tooLarge();
  const bytes = typeof note === "string" ? formatUtf8(note) : note;
  if (bytes.length > MAX_NOTE_BYTES) throw tooLarge();
  const text = parseUtf8(bytes);
  // A lone surrogate has no UTF-8: what is signed would not be what was given.
  if (typeof note === "string" && text !== note) throw new FormatError("ERR_UTF8", "the note holds a lone surrogate");
  // SPEC signed-note: no ASCII control character (below 0x20) other than newline.
  if (bytes.some((byte) => byte < 0x20 && byte !== 0x0a))
    throw new FormatError("ERR_NOTE", "want no control character but newline");
  return text;
}

function tooLarge(): FormatError {
  return new FormatError("ERR_NOTE_SIZE", `want at most ${MAX_NOTE_BYTES} bytes of note`);
}
