/**
 * Checkpoints: the text of a tree head (C2SP tlog-checkpoint).
 *
 *     origin LF
 *     size in decimal LF
 *     b64(root hash) LF
 *     extension lines, each not empty
 *
 * We write no extension lines: ML-DSA-44 cosignatures do not cover them. On reading they are kept, because the Ed25519
 * message covers them, and have no meaning.
 */

import { formatBase64, parseBase64 } from "../base64.ts";
import { parseDecimal } from "../decimal.ts";
import { FormatError } from "../errors.ts";
import { HASH_BYTES, parseRootHash, type RootHash } from "../merkle/hash.ts";
import { MAX_NOTE_BYTES } from "../note/signed-note.ts";

/** A tree head of a named log. */
export interface Checkpoint {
  /** The log's identity; the name of its keys. */
  readonly origin: string;
  /** Number of leaves. */
  readonly size: bigint;
  readonly root: RootHash;
  /** Empty in every checkpoint that we write. */
  readonly extensions: readonly string[];
}

/**
 * The checkpoint that the text of a note spells.
 *
 * @param text  with its last LF, without signature lines
 * @throws {FormatError} ERR_CHECKPOINT, ERR_DECIMAL (size), ERR_BASE64, ERR_BYTES_LENGTH (root)
 */
export function parseCheckpoint(text: string): Checkpoint {
  if (text.length > MAX_NOTE_BYTES)
    throw new FormatError("ERR_NOTE_SIZE", "the checkpoint is longer than a note may be");
  const lines = text.split("\n");
  if (lines.pop() !== "") throw new FormatError("ERR_CHECKPOINT", "want a newline at the end");
  const [origin, size, root, ...extensions] = lines;
  if (origin === undefined || size === undefined || root === undefined) {
    throw new FormatError("ERR_CHECKPOINT", `want at least three lines, got ${lines.length}`);
  }
  // SPEC tlog-checkpoint: the origin MUST be non-empty; extension lines, if any, MUST be non-empty.
  if (origin === "" || extensions.includes("")) throw new FormatError("ERR_CHECKPOINT", "want no empty line");
  return { origin, size: parseDecimal(size), root: parseRootHash(parseBase64(root, HASH_BYTES)), extensions };
}

/** The text of a checkpoint, with its last LF; the inverse of `parseCheckpoint`. */
export function formatCheckpoint({ origin, size, root, extensions }: Checkpoint): string {
  return [origin, size.toString(), formatBase64(root), ...extensions].map((line) => `${line}\n`).join("");
}
