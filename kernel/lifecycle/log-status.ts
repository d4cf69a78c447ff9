/**
 * Status documents of a log (docs/formats/log-status.md): its genesis entry and every statement it made about itself, with
 * their proofs under one checkpoint. Whoever has a witness policy that names one key of the log, of any time, learns from
 * the file alone which keys sign now and whether the log has ended.
 *
 * A log that has ended has its closing statement as its last leaf, and nothing follows it: so a log that has grown past a
 * size was not closed at it. Of the last leaf itself the document of an open log shows the entry only if the log lets
 * anybody read it; without it, it says how far the log was open, and no more.
 */

import { formatBase64 } from "../base64.ts";
import { classifyEntry } from "../entry-kind.ts";
import { CheckError, FormatError } from "../errors.ts";
import { type Genesis, parseGenesis } from "../genesis.ts";
import { canonicalBytes, parseCanonical } from "../json/canonical.ts";
import type { JsonObject } from "../json/value.ts";
import { HASH_BYTES, hashLeaf, type LeafHash, type NodeHash, parseLeafHash, parseNodeHash } from "../merkle/hash.ts";
import { checkInclusion } from "../merkle/inclusion-proof.ts";
import { MAX_NOTE_BYTES } from "../note/signed-note.ts";
import type { VerifierKey } from "../note/verifier-key.ts";
import {
  array,
  base64Bytes,
  integer,
  jsonObject,
  literal,
  mapped,
  object,
  optional,
  readShape,
  type Shape,
  string,
} from "../shape.ts";
import { MAX_ENTRY_BYTES } from "../tile/entry-bundle.ts";
import {
  openLogCheckpoint,
  openWitnessedCheckpoint,
  quorumTime,
  type WitnessedCheckpoint,
  type WitnessPolicy,
} from "../witness-policy.ts";
import { type LogState, nextLogState, signersAt, startLogState } from "./log-state.ts";
import { isSameKey, isStatementKind, type LogStatement, readStatement } from "./statement.ts";

/** Most bytes of a status document. */
export const MAX_STATUS_BYTES = 16_777_216;
/** Most statements of one. */
export const MAX_STATEMENTS = 1024;
const MAX_PROOF_HASHES = 64;

/** An entry that is shown, and its inclusion proof. */
export interface ShownEntry {
  readonly index: number;
  readonly entry: JsonObject;
  /** Leaf to root. */
  readonly proof: readonly NodeHash[];
}

/** The last leaf of the tree. */
export interface LastLeaf {
  readonly leaf: LeafHash;
  readonly proof: readonly NodeHash[];
  /** The entry, where anybody may read it. */
  readonly entry?: Uint8Array;
}

/** A status document in parts, nothing verified. */
export interface LogStatusDocument {
  /** The signed note, verbatim. */
  readonly checkpoint: string;
  readonly genesis: ShownEntry;
  /** Ascending by index. */
  readonly statements: readonly ShownEntry[];
  readonly last: LastLeaf;
}

type File = LogStatusDocument & { readonly kind: "log-status"; readonly v: 1 };

const proofShape = array(mapped(base64Bytes(HASH_BYTES), parseNodeHash), { max: MAX_PROOF_HASHES });
const shownShape: Shape<ShownEntry> = object<ShownEntry>({ index: integer(), entry: jsonObject(), proof: proofShape });

const fileShape: Shape<File> = object<File>({
  kind: literal("log-status"),
  v: literal(1),
  checkpoint: string({ maxLength: MAX_NOTE_BYTES }),
  genesis: shownShape,
  statements: mapped(array(shownShape, { max: MAX_STATEMENTS }), ascending),
  last: object<LastLeaf>({
    leaf: mapped(base64Bytes(HASH_BYTES), parseLeafHash),
    proof: proofShape,
    entry: optional(mapped(base64Bytes(), shortEnough)),
  }),
});

/** Canonical bytes of a status document. */
export function formatLogStatus({ checkpoint, genesis, statements, last }: LogStatusDocument): Uint8Array {
  const { leaf, proof, entry } = last;
  return canonicalBytes({
    kind: "log-status",
    v: 1,
    checkpoint,
    genesis: shownJson(genesis),
    statements: statements.map(shownJson),
    last: {
      leaf: formatBase64(leaf),
      proof: proof.map(formatBase64),
      ...(entry === undefined ? {} : { entry: formatBase64(entry) }),
    },
  });
}

/**
 * Reads a status document; nothing is verified.
 *
 * @throws {FormatError} ERR_JSON_*, ERR_SHAPE
 */
export function parseLogStatus(bytes: Uint8Array): LogStatusDocument {
  const value = parseCanonical(bytes, { maxBytes: MAX_STATUS_BYTES });
  const { checkpoint, genesis, statements, last } = readShape(fileShape, value, "log-status");
  return { checkpoint, genesis, statements, last };
}

/** What a log is. `rotating`: two pairs of keys sign. */
export type LogStanding = "active" | "rotating" | "frozen" | "decommissioned";

/** A status that is proven. */
export interface LogStatus {
  readonly standing: LogStanding;
  readonly checkpoint: WitnessedCheckpoint;
  /**
   * The log was open while it had fewer entries than this: nothing below closes it. For a log that has ended, its final size.
   */
  readonly openBelow: bigint;
  /** POSIX seconds by which a quorum had cosigned; undefined under `quorum none`. */
  readonly witnessedSeconds: bigint | undefined;
  readonly genesis: Genesis;
  readonly state: LogState;
}

/**
 * Checks a status document under a policy that names at least one key that the log has, had or was rotated to.
 *
 * @throws {FormatError} as `parseGenesis`, `readStatement`, `parseNote`
 * @throws {CheckError} as `nextLogState`; ERR_ORIGIN (no key of the policy is the log's), ERR_LOG_SIGNATURE, ERR_NOTE_SIGNATURE,
 *   ERR_QUORUM, ERR_LOG_UNWITNESSED; ERR_INDEX_RANGE, ERR_PROOF_LENGTH, ERR_ROOT_MISMATCH (a proof); ERR_LOG_CLOSED (entries behind the closing
 *   statement); ERR_LOG_STATUS (a statement that is left out)
 */
export function checkLogStatus(document: LogStatusDocument, policy: WitnessPolicy): LogStatus {
  const genesis = readGenesisEntry(document.genesis);
  const state = followStatements(genesis, document.statements);
  const pinned = policy.logs.map(({ key }) => key);
  const keys = trustedKeys(state, pinned);
  const opened = openUnderKeys(document.checkpoint, policy, state, keys);
  const { size } = opened.checkpoint;
  checkProofs(document, opened);
  checkEnd(state, document.last, size);
  return {
    standing: standingOf(state),
    checkpoint: opened,
    openBelow: state.closing?.finalSize ?? openBelow(document.last, size),
    witnessedSeconds: quorumTime(policy, opened.cosignatures),
    genesis,
    state,
  };
}

/**
 * Keys of the log that a policy's keys lead to: from the first time whose keys have a pinned one onwards, since every
 * rotation behind it is signed by keys that are trusted then.
 *
 * @throws {CheckError} ERR_ORIGIN
 */
export function trustedKeys({ origin, periods }: LogState, pinned: readonly VerifierKey[]): readonly VerifierKey[] {
  const first = periods.findIndex(({ keys }) => keys.some((key) => pinned.some((pin) => isSameKey(pin, key))));
  if (first < 0) throw new CheckError("ERR_ORIGIN", `no key of the policy is one of ${origin}`);
  return periods.slice(first).flatMap(({ keys }, i) => {
    if (i > 0) return keys;
    // Keys of the same time that the policy does not name are vouched for by nothing yet, unless a rotation does.
    return keys.filter((key) => pinned.some((pin) => isSameKey(pin, key)));
  });
}

/** The genesis entry of a document. @throws {CheckError} ERR_LOG_STATUS if it is not at index 0 */
function readGenesisEntry({ index, entry }: ShownEntry): Genesis {
  if (index !== 0) throw new CheckError("ERR_LOG_STATUS", "genesis: want the entry at index 0");
  return parseGenesis(canonicalBytes(entry));
}

/** The state after all statements, each of which must follow from those before. */
export function followStatements(genesis: Genesis, shown: readonly Pick<ShownEntry, "index" | "entry">[]): LogState {
  let state = startLogState(genesis);
  for (const { index, entry } of shown) state = nextLogState(state, readStatement(entry), index);
  return state;
}

/**
 * Opens a checkpoint with the trusted keys of its size and no others.
 *
 * @param trusted  as `trustedKeys` gives them
 * @throws {CheckError} as `openWitnessedCheckpoint`; ERR_LOG_UNWITNESSED if a key signed that the policy does not name, and
 *   the policy wants no witness: a rotation that nobody saw may be one of two
 */
export function openUnderKeys(
  note: string,
  policy: WitnessPolicy,
  state: LogState,
  trusted: readonly VerifierKey[],
): WitnessedCheckpoint {
  const { checkpoint } = openLogCheckpoint(note, trusted);
  const keys = signersAt(state, checkpoint.size).filter((key) => trusted.some((other) => isSameKey(key, other)));
  const opened = openWitnessedCheckpoint(note, { ...policy, logs: keys.map((key) => ({ key })) });
  const isPinned = policy.logs.some(({ key }) => isSameKey(key, opened.logKey));
  if (isPinned || policy.quorum !== "none") return opened;
  throw new CheckError("ERR_LOG_UNWITNESSED", "want a quorum of witnesses over the rotation of the log's keys");
}

function checkProofs({ genesis, statements, last }: LogStatusDocument, { checkpoint }: WitnessedCheckpoint): void {
  const { size, root } = checkpoint;
  for (const { index, entry, proof } of [genesis, ...statements]) {
    checkInclusion({ leaf: hashLeaf(canonicalBytes(entry)), index: BigInt(index), size, root, proof });
  }
  checkInclusion({ leaf: last.leaf, index: size - 1n, size, root, proof: last.proof });
}

/** Nothing follows the closing statement; and the last leaf is no statement that is left out. */
function checkEnd(state: LogState, last: LastLeaf, size: bigint): void {
  const { closing } = state;
  if (closing !== undefined && size > closing.finalSize) {
    throw new CheckError("ERR_LOG_CLOSED", `the log ended with ${closing.finalSize} entries and has ${size}`);
  }
  const { entry, leaf } = last;
  if (entry === undefined) return;
  if (formatBase64(hashLeaf(entry)) !== formatBase64(leaf)) {
    throw new CheckError("ERR_LOG_STATUS", "last.entry: want the entry of the last leaf");
  }
  if (closing === undefined && isClosing(entry, state, size)) {
    throw new CheckError("ERR_LOG_STATUS", "the last leaf closes the log, and the document leaves it out");
  }
}

/** True if an entry closes the log where it stands. In a raw log anybody may write what only looks like it. */
function isClosing(entry: Uint8Array, state: LogState, size: bigint): boolean {
  const found = classifyEntry(entry);
  if (found.form !== "envelope" || found.kind !== "log-closing") return false;
  try {
    return nextLogState(state, readStatement(found.value), Number(size - 1n)).closing !== undefined;
  } catch (error) {
    if (error instanceof CheckError || error instanceof FormatError) return false;
    throw error;
  }
}

/** Without its entry the last leaf may be the closing statement: the log was open in front of it. */
function openBelow({ entry }: LastLeaf, size: bigint): bigint {
  return entry === undefined ? size - 1n : size;
}

/** What a state is called. */
export function standingOf({ closing, retiring }: Pick<LogState, "closing" | "retiring">): LogStanding {
  if (closing !== undefined) return closing.end;
  return retiring === undefined ? "active" : "rotating";
}

/** The statement that an entry of a log is, by its first look; undefined for any other. @throws {FormatError} as `readStatement` */
export function statementOf(entry: Uint8Array): LogStatement | undefined {
  const found = classifyEntry(entry);
  if (found.form !== "envelope" || !isStatementKind(found.kind)) return undefined;
  return readStatement(parseCanonical(entry));
}

function shownJson({ index, entry, proof }: ShownEntry): JsonObject {
  return { index, entry, proof: proof.map(formatBase64) };
}

function ascending(shown: readonly ShownEntry[]): readonly ShownEntry[] {
  if (shown.every(({ index }, i) => i === 0 || index > (shown[i - 1]?.index ?? index))) return shown;
  throw new FormatError("ERR_SHAPE", "want statements in ascending order");
}

function shortEnough(entry: Uint8Array): Uint8Array {
  if (entry.length <= MAX_ENTRY_BYTES) return entry;
  throw new FormatError("ERR_SHAPE", `want an entry of at most ${MAX_ENTRY_BYTES} bytes`);
}
