/**
 * `sign-subtree` (C2SP tlog-witness): cosigns a range of leaves of a checkpoint that this witness has cosigned. No state is
 * kept: the witness's own line on the checkpoint is the state.
 *
 *     subtree <start> <end> LF
 *     b64(subtree hash) LF
 *     b64(hash) LF ...             the proof that leads to the checkpoint, 0 to 63
 *     LF
 *     checkpoint with a cosignature of this witness
 */

import { MAX_PROOF_LINES, MAX_REQUEST_BYTES } from "../kernel/add-checkpoint.ts";
import { formatBase64, parseBase64 } from "../kernel/base64.ts";
import { parseUtf8 } from "../kernel/bytes.ts";
import { type Checkpoint, parseCheckpoint } from "../kernel/checkpoint/checkpoint.ts";
import { checkCosignatureLine } from "../kernel/checkpoint/cosignature.ts";
import { parseDecimal } from "../kernel/decimal.ts";
import { FormatError, isCodedError } from "../kernel/errors.ts";
import { HASH_BYTES, type NodeHash, parseNodeHash } from "../kernel/merkle/hash.ts";
import { checkSubtreeConsistency, isValidSubtree } from "../kernel/merkle/subtree-proof.ts";
import { parseNote, type SignedNote } from "../kernel/note/signed-note.ts";
import type { AnyCosigner } from "./signing.ts";

/** A request that has the form of one, for a range that can be one; nothing in it is checked. */
export interface SignSubtree {
  readonly start: bigint;
  /** Exclusive; at most the checkpoint's size. */
  readonly end: bigint;
  readonly hash: NodeHash;
  readonly proof: readonly NodeHash[];
  readonly note: SignedNote;
  readonly checkpoint: Checkpoint;
}

/** Bytes of the longest body: that of add-checkpoint, with one line more. */
export const MAX_SUBTREE_BYTES: number = MAX_REQUEST_BYTES + 128;

/**
 * Reads a body.
 *
 * @throws {FormatError} ERR_SIGN_SUBTREE, ERR_DECIMAL, ERR_BASE64, ERR_UTF8, and as `parseNote` and `parseCheckpoint`
 */
export function parseSignSubtree(body: Uint8Array): SignSubtree {
  if (body.length > MAX_SUBTREE_BYTES) throw malformed(`want at most ${MAX_SUBTREE_BYTES} bytes`);
  const text = parseUtf8(body);
  const split = text.indexOf("\n\n");
  if (split < 0) throw malformed("want an empty line before the checkpoint");
  const [first = "", hash, ...proof] = text.slice(0, split).split("\n");
  const [keyword, start, end, ...rest] = first.split(" ");
  if (keyword !== "subtree" || start === undefined || end === undefined || rest.length > 0 || hash === undefined) {
    throw malformed('want "subtree <start> <end>" and the hash of the subtree in the first two lines');
  }
  // SPEC tlog-witness: the proof MUST NOT be longer than 63 lines.
  if (proof.length > MAX_PROOF_LINES) throw malformed(`want at most 63 proof lines, got ${proof.length}`);
  const note = parseNote(text.slice(split + 2));
  const request = {
    start: parseDecimal(start),
    end: parseDecimal(end),
    hash: parseHash(hash),
    proof: proof.map(parseHash),
    note,
    checkpoint: parseCheckpoint(note.text),
  };
  if (isValidSubtree(request.start, request.end) && request.end <= request.checkpoint.size) return request;
  throw malformed(`[${start}, ${end}) is no subtree of ${request.checkpoint.size} leaves`);
}

/** The body that a client sends: the inverse of `parseSignSubtree`. */
export function formatSignSubtree(request: {
  readonly start: bigint;
  readonly end: bigint;
  readonly hash: Uint8Array;
  readonly proof: readonly Uint8Array[];
  readonly note: string;
}): string {
  const lines = [request.hash, ...request.proof].map((hash) => `${formatBase64(hash)}\n`);
  return `subtree ${request.start} ${request.end}\n${lines.join("")}\n${request.note}`;
}

/** Those of `cosigners` that have a true line on the note. A false or foreign line is none. */
export function ownCosigners<C extends AnyCosigner>(note: SignedNote, cosigners: readonly C[]): readonly C[] {
  return cosigners.filter(({ key }) =>
    note.signatures.some((line) => {
      if (line.name !== key.name || line.keyId !== key.keyId) return false;
      try {
        checkCosignatureLine(key, note.text, line);
        return true;
      } catch (error) {
        if (isCodedError(error)) return false;
        throw error;
      }
    }),
  );
}

/**
 * The lines over the subtree, time zero, once its proof holds.
 *
 * @param cosigners  whose cosignature of the checkpoint was checked
 * @throws {CheckError} as `checkSubtreeConsistency`
 */
export async function cosignSubtree(
  request: SignSubtree,
  cosigners: readonly AnyCosigner[],
): Promise<readonly string[]> {
  const { start, end, hash, proof, checkpoint } = request;
  const { origin, size, root } = checkpoint;
  checkSubtreeConsistency({ start, end, hash, size, root, proof });
  const subtree = { origin, start, end, hash };
  const able = cosigners.flatMap(({ cosignSubtree: sign }) => (sign === undefined ? [] : [sign]));
  return Promise.all(able.map(async (sign) => sign(subtree)));
}

function parseHash(line: string): NodeHash {
  return parseNodeHash(parseBase64(line, HASH_BYTES));
}

function malformed(what: string): FormatError {
  return new FormatError("ERR_SIGN_SUBTREE", what);
}
