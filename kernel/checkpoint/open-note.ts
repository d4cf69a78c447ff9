/** Opens signed notes: which of the keys that I trust signed this text (C2SP signed-note). */

import { formatUtf8 } from "../bytes.ts";
import { CheckError, isCodedError } from "../errors.ts";
import { verifierOf } from "../note/key-verifier.ts";
import { type NoteSignature, parseNote, type SignedNote } from "../note/signed-note.ts";
import type { VerifierKey } from "../note/verifier-key.ts";
import { checkCosignatureLine } from "./cosignature.ts";

/** One signature line that verified. */
export interface VerifiedLine {
  readonly key: VerifierKey;
  /** POSIX seconds that a cosignature (0x04, 0x06) claims; absent for 0x01. */
  readonly timestampSeconds?: bigint;
  /** With its LF. */
  readonly line: string;
}

/**
 * Opens a note: every line of a known key must verify, and at least one line must be of a known key.
 *
 * @param keys  the keys that count
 * @returns  the signed text and the lines that verified, in order; a key may occur more than once
 * @throws {FormatError} as `parseNote`, and ERR_COSIGNATURE, ERR_CHECKPOINT for malformed lines of known keys
 * @throws {CheckError} ERR_NOTE_SIGNATURE if a line of a known key does not verify, ERR_NOTE_UNSIGNED if there is none
 */
export function openNote(
  note: Uint8Array | string,
  keys: readonly VerifierKey[],
): { readonly text: string; readonly verified: readonly VerifiedLine[] } {
  const parsed = parseNote(note);
  const verified = verifyLines(parsed, keys);
  // SPEC signed-note: if no signature verifies, the note MUST be rejected.
  if (verified.length === 0) throw new CheckError("ERR_NOTE_UNSIGNED", "no signature line is of a known key");
  return { text: parsed.text, verified };
}

/**
 * The lines of known keys, all of which must verify; possibly none.
 *
 * @throws {FormatError} ERR_COSIGNATURE, ERR_CHECKPOINT
 * @throws {CheckError} ERR_NOTE_SIGNATURE
 */
export function verifyLines({ text, signatures }: SignedNote, keys: readonly VerifierKey[]): readonly VerifiedLine[] {
  return signatures.flatMap((signature) => {
    // SPEC signed-note: a line whose name and id match no known key MUST be ignored. A known one MUST be verified.
    const candidates = keys.filter((key) => key.name === signature.name && key.keyId === signature.keyId);
    return candidates.length === 0 ? [] : [verifyLine(candidates, text, signature)];
  });
}

/** Two keys may share name and id, since ids collide cheaply: the line must be of one of them. */
function verifyLine(candidates: readonly VerifierKey[], text: string, signature: NoteSignature): VerifiedLine {
  let fault: unknown;
  for (const key of candidates) {
    try {
      return { key, ...checkLine(key, text, signature), line: signature.line };
    } catch (error) {
      if (!isCodedError(error)) throw error;
      fault ??= error;
    }
  }
  throw fault;
}

function checkLine(key: VerifierKey, text: string, signature: NoteSignature): { timestampSeconds?: bigint } {
  if (key.type !== 0x01) return checkCosignatureLine(key, text, signature);
  if (verifierOf(key)(formatUtf8(text), signature.payload)) return {};
  throw new CheckError("ERR_NOTE_SIGNATURE", `the signature of ${key.name} does not verify`);
}
