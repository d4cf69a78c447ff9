/**
 * Body of `add-checkpoint` (C2SP tlog-witness): `old <size>` LF, up to 63 proof lines, an empty line, the checkpoint.
 */

import { formatBase64, parseBase64 } from "./base64.ts";
import { parseUtf8 } from "./bytes.ts";
import { type Checkpoint, parseCheckpoint } from "./checkpoint/checkpoint.ts";
import { parseDecimal } from "./decimal.ts";
import { FormatError } from "./errors.ts";
import { HASH_BYTES, type NodeHash, parseNodeHash } from "./merkle/hash.ts";
import { MAX_NOTE_BYTES, parseNote, type SignedNote } from "./note/signed-note.ts";

/** Hashes of the longest consistency proof that the protocol carries. */
export const MAX_PROOF_LINES = 63;

/** Bytes of the longest body: a note, 63 hash lines of 45 bytes, the `old` line and the empty line. */
export const MAX_REQUEST_BYTES: number = MAX_NOTE_BYTES + MAX_PROOF_LINES * 45 + 64;

/** A request that has the form of one; nothing in it is checked. */
export interface AddCheckpoint {
  readonly oldSize: bigint;
  readonly proof: readonly NodeHash[];
  /** The note as it was sent: what is kept, and what witnesses sign the text of. */
  readonly note: SignedNote;
  readonly checkpoint: Checkpoint;
}

/**
 * Reads a body.
 *
 * @throws {FormatError} ERR_ADD_CHECKPOINT, ERR_DECIMAL, ERR_BASE64, ERR_UTF8, and as `parseNote` and `parseCheckpoint`
 */
export function parseAddCheckpoint(body: Uint8Array): AddCheckpoint {
  if (body.length > MAX_REQUEST_BYTES) throw malformed(`want at most ${MAX_REQUEST_BYTES} bytes`);
  const text = parseUtf8(body);
  const split = text.indexOf("\n\n");
  if (split < 0) throw malformed("want an empty line before the checkpoint");
  const [first = "", ...hashes] = text.slice(0, split).split("\n");
  if (!first.startsWith("old ")) throw malformed('want "old <size>" in the first line');
  // SPEC tlog-witness: the consistency proof MUST NOT be longer than 63 lines.
  if (hashes.length > MAX_PROOF_LINES) throw malformed(`want at most 63 proof lines, got ${hashes.length}`);
  const note = parseNote(text.slice(split + 2));
  return {
    oldSize: parseDecimal(first.slice("old ".length)),
    proof: hashes.map((line) => parseNodeHash(parseBase64(line, HASH_BYTES))),
    note,
    checkpoint: parseCheckpoint(note.text),
  };
}

/** The body that a log sends: the inverse of `parseAddCheckpoint`. */
export function formatAddCheckpoint(oldSize: bigint, proof: readonly Uint8Array[], note: string): string {
  return `old ${oldSize}\n${proof.map((hash) => `${formatBase64(hash)}\n`).join("")}\n${note}`;
}

function malformed(what: string): FormatError {
  return new FormatError("ERR_ADD_CHECKPOINT", what);
}
