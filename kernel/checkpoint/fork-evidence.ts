/**
 * Evidence that a log signed two histories (docs/formats/fork-evidence.md): signed checkpoints that cannot both be of one
 * tree. Whoever has it and knows the log's keys needs nobody else to see the fork.
 *
 *     {"first":"<note>","kind":"log-fork","second":"<note>","v":1}                       one size, two roots
 *     … with "prefix_root" and "proof"     the tree of the second begins with another tree than the first
 *     … without "second"                   a tree of no leaves with another root than the empty one
 */

import { formatBase64 } from "../base64.ts";
import { equalBytes } from "../bytes.ts";
import { CheckError, isCodedError } from "../errors.ts";
import { canonicalBytes, parseCanonical } from "../json/canonical.ts";
import { checkConsistency } from "../merkle/consistency-proof.ts";
import {
  asNodeHash,
  EMPTY_ROOT,
  HASH_BYTES,
  type NodeHash,
  parseNodeHash,
  parseRootHash,
  type RootHash,
} from "../merkle/hash.ts";
import { foldProof } from "../merkle/proof-fold.ts";
import { planSubtreeProof } from "../merkle/proof-plan.ts";
import { formatNote, MAX_NOTE_BYTES, parseNote } from "../note/signed-note.ts";
import type { VerifierKey } from "../note/verifier-key.ts";
import { array, base64Bytes, literal, mapped, object, optional, readShape, type Shape, string } from "../shape.ts";
import { type Checkpoint, parseCheckpoint } from "./checkpoint.ts";
import { verifyLines } from "./open-note.ts";

/** What leads from the second checkpoint to the prefix that contradicts the first. */
export interface ForkPrefix {
  /** Root of the first leaves of the second tree, as many as the first checkpoint counts. */
  readonly root: RootHash;
  /** Consistency proof from that prefix to the second tree. */
  readonly proof: readonly NodeHash[];
}

/** Two signed checkpoints of one log, as notes; no larger one first. */
export interface LogForkEvidence {
  readonly first: string;
  /** Absent if the first contradicts itself. */
  readonly second?: string;
  /** Present if the sizes differ. */
  readonly prefix?: ForkPrefix;
}

/** A fork that is proven. */
export interface LogFork {
  readonly origin: string;
  readonly first: Checkpoint;
  /** Absent if the first contradicts itself. */
  readonly second?: Checkpoint;
}

type Json = {
  readonly first: string;
  readonly kind: "log-fork";
  readonly prefix_root?: RootHash;
  readonly proof?: readonly NodeHash[];
  readonly second?: string;
  readonly v: 1;
};

const MAX_PROOF_HASHES = 64;
/** Two notes, escaped at worst, and a proof. */
const MAX_BYTES = 4 * MAX_NOTE_BYTES + 8192;

const hashBytes = base64Bytes(HASH_BYTES);
const note = string({ maxLength: MAX_NOTE_BYTES });
const shape: Shape<Json> = object<Json>({
  first: note,
  kind: literal("log-fork"),
  prefix_root: optional(mapped(hashBytes, parseRootHash)),
  proof: optional(array(mapped(hashBytes, parseNodeHash), { max: MAX_PROOF_HASHES })),
  second: optional(note),
  v: literal(1),
});

/** The bytes of an evidence file: canonical JSON. Nothing is checked. */
export function formatLogFork({ first, second, prefix }: LogForkEvidence): Uint8Array {
  return canonicalBytes({
    kind: "log-fork",
    v: 1,
    first,
    ...(second === undefined ? {} : { second }),
    ...(prefix === undefined
      ? {}
      : { prefix_root: formatBase64(prefix.root), proof: prefix.proof.map((hash) => formatBase64(hash)) }),
  });
}

/**
 * Checks that `bytes` prove a fork of the log with these keys. Every signature line must be of one of them: a line that
 * nobody checks has no place in evidence.
 *
 * @param keys  the log's keys; their name is its origin
 * @throws {FormatError} ERR_JSON_*, ERR_SHAPE, and as `parseNote` and `parseCheckpoint`
 * @throws {CheckError} ERR_NOTE_SIGNATURE, ERR_LOG_SIGNATURE (a line of another key), ERR_FORK_EVIDENCE (the checkpoints
 *   may be of one history), and as `checkConsistency`
 */
export function checkLogFork(bytes: Uint8Array, keys: readonly VerifierKey[]): LogFork {
  const evidence = readShape(shape, parseCanonical(bytes, { maxBytes: MAX_BYTES }), "evidence");
  const first = openSigned(evidence.first, keys);
  const { origin } = first;
  if (evidence.second === undefined) {
    checkImpossible(first, evidence);
    return { origin, first };
  }
  const second = openSigned(evidence.second, keys);
  if (second.origin !== origin) throw noFork("want two checkpoints of one origin");
  checkContradiction(first, second, evidence);
  return { origin, first, second };
}

/**
 * The evidence that two signed checkpoints and a consistency proof between them make, if they prove a fork. Lines of
 * others are left out.
 *
 * A proof that does not lead to the second root proves nothing: anybody may put a false proof beside a true checkpoint.
 *
 * @param older  the checkpoint that was seen first; undefined if none was
 * @param newer  no smaller than `older`
 * @param proof  what was claimed to lead from one to the other
 */
export function proveLogFork(
  older: string | undefined,
  newer: string,
  proof: readonly NodeHash[],
  keys: readonly VerifierKey[],
): Uint8Array | undefined {
  try {
    return makeLogFork(older === undefined ? { first: newer } : contradiction(older, newer, proof), keys);
  } catch (error) {
    if (isCodedError(error)) return undefined;
    throw error;
  }
}

/** The bytes of evidence with the lines of these keys alone, if it proves a fork; else undefined. */
export function makeLogFork(evidence: LogForkEvidence, keys: readonly VerifierKey[]): Uint8Array | undefined {
  try {
    const { first, second, ...rest } = evidence;
    const others = second === undefined ? {} : { second: onlyLines(second, keys) };
    const bytes = formatLogFork({ first: onlyLines(first, keys), ...others, ...rest });
    checkLogFork(bytes, keys);
    return bytes;
  } catch (error) {
    if (isCodedError(error)) return undefined;
    throw error;
  }
}

/** Size zero with another root contradicts itself; else the two contradict each other, if the proof leads to the second. */
function contradiction(first: string, second: string, proof: readonly NodeHash[]): LogForkEvidence {
  const [old, next] = [first, second].map((each) => parseCheckpoint(parseNote(each).text));
  if (old === undefined || next === undefined || next.size === 0n) return { first: second };
  if (old.size === next.size) return { first, second };
  const folded = foldProof(planSubtreeProof(0n, old.size, next.size), asNodeHash(old.root), proof);
  return { first, second, prefix: { root: parseRootHash(folded.hash), proof } };
}

function checkImpossible({ size, root }: Checkpoint, { prefix_root, proof }: Json): void {
  const isAlone = prefix_root === undefined && proof === undefined;
  if (isAlone && size === 0n && !equalBytes(root, EMPTY_ROOT)) return;
  throw noFork("one checkpoint contradicts itself only with size zero and a root that is not the empty one");
}

function checkContradiction(first: Checkpoint, second: Checkpoint, { prefix_root: prefix, proof }: Json): void {
  if (first.size === second.size) {
    if (prefix !== undefined || proof !== undefined) throw noFork("want no proof between checkpoints of one size");
    if (equalBytes(first.root, second.root)) throw noFork("the checkpoints have the same root");
    return;
  }
  if (prefix === undefined || proof === undefined) throw noFork("want a prefix root and a proof");
  checkConsistency({ oldSize: first.size, oldRoot: prefix, size: second.size, root: second.root, proof });
  if (equalBytes(first.root, prefix)) throw noFork("the second tree begins with the first one");
}

/** The checkpoint of a note whose every line is a true one of the log's. */
function openSigned(text: string, keys: readonly VerifierKey[]): Checkpoint {
  const parsed = parseNote(text);
  const checkpoint = parseCheckpoint(parsed.text);
  const ofOrigin = keys.filter(({ name }) => name === checkpoint.origin);
  const verified = verifyLines(parsed, ofOrigin);
  if (verified.length === parsed.signatures.length) return checkpoint;
  throw new CheckError("ERR_LOG_SIGNATURE", "want signature lines of the log's keys and no others");
}

/** The note with the lines of these keys alone. */
function onlyLines(text: string, keys: readonly VerifierKey[]): string {
  const parsed = parseNote(text);
  return formatNote(
    parsed.text,
    verifyLines(parsed, keys).map(({ line }) => line),
  );
}

function noFork(what: string): CheckError {
  return new CheckError("ERR_FORK_EVIDENCE", what);
}
