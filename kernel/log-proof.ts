/**
 * Log proofs (C2SP tlog-proof, file extension `.tlog-proof`): one entry is in a log that witnesses watch.
 *
 *     c2sp.org/tlog-proof@v1 LF
 *     extra <b64> LF                   optional; not authenticated
 *     index <decimal> LF
 *     <b64 hash> LF ...                sibling of the leaf first; none for a tree of one
 *     LF
 *     <checkpoint, verbatim, with its signature lines>
 */

import { formatBase64, parseBase64 } from "./base64.ts";
import { parseDecimal } from "./decimal.ts";
import { FormatError } from "./errors.ts";
import { HASH_BYTES, hashLeaf, type NodeHash, parseNodeHash } from "./merkle/hash.ts";
import { checkInclusion } from "./merkle/inclusion-proof.ts";
import { MAX_NOTE_BYTES } from "./note/signed-note.ts";
import { openWitnessedCheckpoint, type WitnessedCheckpoint, type WitnessPolicy } from "./witness-policy.ts";

/** Most hashes that a proof can have in a tree of less than 2^64 leaves. */
const MAX_PROOF_HASHES = 64;
/** Bound of a whole log proof: a note, its proof, and 64 KiB of extra data. */
const MAX_LOG_PROOF_CHARACTERS: number = MAX_NOTE_BYTES + 65_536 + 4096;

const HEADER = "c2sp.org/tlog-proof@v1";
const EXTRA = "extra ";
const INDEX = "index ";

/** A log proof in parts, nothing verified. */
export interface LogProof {
  /** Opaque data for the application. Nothing authenticates it: trust nothing in it. */
  readonly extra?: Uint8Array;
  /** 0-based. */
  readonly index: bigint;
  /** Leaf to root. */
  readonly proof: readonly NodeHash[];
  /** The signed note, verbatim. */
  readonly checkpoint: string;
}

/**
 * The log proof that `text` spells. Its checkpoint is not looked at: opening it does.
 *
 * @throws {FormatError} ERR_LOG_PROOF, ERR_DECIMAL (index), ERR_BASE64, ERR_BYTES_LENGTH (hashes)
 */
export function parseLogProof(text: string): LogProof {
  if (text.length > MAX_LOG_PROOF_CHARACTERS) throw new FormatError("ERR_LOG_PROOF", "the log proof is too long");
  // The checkpoint may hold empty lines: the proof part ends at the first one.
  const end = text.indexOf("\n\n");
  if (end < 0) throw new FormatError("ERR_LOG_PROOF", "want an empty line before the checkpoint");
  const [header, ...lines] = text.slice(0, end).split("\n");
  if (header !== HEADER) throw new FormatError("ERR_LOG_PROOF", `want the header ${HEADER}`);
  const extra = lines[0]?.startsWith(EXTRA) ? parseExtra(lines.shift() ?? "") : undefined;
  const index = lines.shift();
  if (!index?.startsWith(INDEX)) throw new FormatError("ERR_LOG_PROOF", "want an index line");
  if (lines.length > MAX_PROOF_HASHES) throw new FormatError("ERR_LOG_PROOF", "want at most 64 hashes");
  return {
    ...(extra === undefined ? {} : { extra }),
    index: parseDecimal(index.slice(INDEX.length)),
    proof: lines.map((line) => parseNodeHash(parseBase64(line, HASH_BYTES))),
    checkpoint: text.slice(end + 2),
  };
}

/** The text of a log proof; the inverse of `parseLogProof`. */
export function formatLogProof({ extra, index, proof, checkpoint }: LogProof): string {
  const extraLine = extra === undefined || extra.length === 0 ? [] : [`${EXTRA}${formatBase64(extra)}`];
  const lines = [HEADER, ...extraLine, `${INDEX}${index}`];
  return [...lines, ...proof.map(formatBase64), "", checkpoint].join("\n");
}

/** What `checkLogProof` is given. */
export interface LogProofClaim {
  readonly proof: LogProof;
  /** The bytes submitted to the log; the leaf hash is SHA-256(00 ‖ entry). */
  readonly entry: Uint8Array;
  readonly policy: WitnessPolicy;
}

/**
 * Checks that a log of the policy, watched by a quorum of its witnesses, holds `entry` at the proof's index.
 *
 * The times of cosignatures are checked as part of the signatures and returned; whether they are fresh enough is up to the
 * caller. No time is the time of the entry.
 *
 * @returns the witnessed checkpoint that the entry is in
 * @throws {FormatError} as `openWitnessedCheckpoint`
 * @throws {CheckError} ERR_ORIGIN, ERR_NOTE_SIGNATURE, ERR_LOG_SIGNATURE, ERR_QUORUM, then ERR_INDEX_RANGE,
 *   ERR_PROOF_LENGTH, ERR_ROOT_MISMATCH
 */
export function checkLogProof({ proof, entry, policy }: LogProofClaim): WitnessedCheckpoint {
  const leaf = hashLeaf(entry);
  const witnessed = openWitnessedCheckpoint(proof.checkpoint, policy);
  const { size, root } = witnessed.checkpoint;
  checkInclusion({ leaf, index: proof.index, size, root, proof: proof.proof });
  return witnessed;
}

function parseExtra(line: string): Uint8Array {
  const extra = parseBase64(line.slice(EXTRA.length));
  // SPEC tlog-proof: if no extra data is present, this line is omitted.
  if (extra.length === 0) throw new FormatError("ERR_LOG_PROOF", "want no extra line without data");
  return extra;
}
