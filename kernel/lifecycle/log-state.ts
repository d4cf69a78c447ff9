/**
 * What a log is by its own statements: which keys sign its checkpoints, which streams are decommissioned, whether it has
 * ended. One pure step from statement to statement; ledger, fsck, auditor node and verifier take the same one.
 *
 *     active ── rotation ──→ both pairs sign ── retirement ──→ active …       any of them ── closing ──→ ended
 */

import { CheckError, invariant } from "../errors.ts";
import type { Genesis } from "../genesis.ts";
import type { VerifierKey } from "../note/verifier-key.ts";
import { type PublicKey, publicKeyShape } from "../signature/public-key.ts";
import {
  checkStatementSignatures,
  type FinalTree,
  isSameKey,
  isSameKeys,
  type LogEnd,
  type LogStatement,
  readLogKeys,
  type StatementBody,
  type Successor,
} from "./statement.ts";

/** Keys that sign checkpoints from a size on. */
export interface KeyPeriod {
  /** The smallest size whose checkpoints these keys sign. */
  readonly fromSize: bigint;
  readonly keys: readonly VerifierKey[];
}

/** A rotation that took place. */
export interface Rotation {
  readonly index: number;
  readonly oldKeys: readonly VerifierKey[];
  readonly newKeys: readonly VerifierKey[];
}

/** How a log ended. */
export interface Closing {
  readonly end: LogEnd;
  readonly reason: string;
  readonly finalSize: bigint;
  readonly successor: Successor | undefined;
}

/** A log after some of its statements. */
export interface LogState {
  readonly origin: string;
  /** By the genesis entry. */
  readonly operator: PublicKey;
  /** The newest pair. */
  readonly keys: readonly VerifierKey[];
  /** The pair before it while both sign; else undefined. */
  readonly retiring: readonly VerifierKey[] | undefined;
  readonly rotations: readonly Rotation[];
  /** Ascending. */
  readonly periods: readonly KeyPeriod[];
  /** Index of the end of a stream's registration, by stream. */
  readonly endedStreams: ReadonlyMap<string, number>;
  readonly predecessor: FinalTree | undefined;
  readonly closing: Closing | undefined;
}

/** The state of a log that has only its genesis entry. */
export function startLogState(genesis: Pick<Genesis, "origin" | "keys" | "operator_key">): LogState {
  const keys = readLogKeys(genesis.keys);
  return {
    origin: genesis.origin,
    operator: publicKeyShape.read(genesis.operator_key, "genesis.operator_key"),
    keys,
    retiring: undefined,
    rotations: [],
    periods: [{ fromSize: 0n, keys }],
    endedStreams: new Map(),
    predecessor: undefined,
    closing: undefined,
  };
}

/** Keys that sign checkpoints now: both pairs while they overlap, the older one first. */
export function signersNow({ keys, retiring = [] }: LogState): readonly VerifierKey[] {
  return [...retiring, ...keys];
}

/** Keys of which one must have signed a checkpoint of this size. */
export function signersAt({ periods }: LogState, size: bigint): readonly VerifierKey[] {
  const period = periods.findLast(({ fromSize }) => fromSize <= size);
  invariant(period !== undefined, "the first period starts at size 0");
  return period.keys;
}

/**
 * The state after the statement at `index`, whose signatures are checked.
 *
 * @throws {CheckError} ERR_LOG_CLOSED (behind a closing statement), ERR_STATEMENT_PLACE (another log, another index, another
 *   final size), ERR_ROTATION_ORDER (a rotation while both pairs sign, a retirement while one does, keys that had their
 *   turn), ERR_ROTATION_FORK (keys that were rotated to others before), ERR_LOG_KEY_STRANGER (keys that are not the log's,
 *   another operator), and as `checkStatementSignatures`
 */
export function nextLogState(state: LogState, statement: LogStatement, index: number): LogState {
  if (state.closing !== undefined) throw closed(state.closing.finalSize);
  checkPlace(state, statement, index);
  checkStatementSignatures(statement, signersOf(state, statement));
  return applyStatement(state, statement);
}

/** Keys whose signatures a statement must have, in order. */
export function signersOf(state: LogState, body: StatementBody): readonly VerifierKey[] {
  if (body.kind === "log-key-rotation") return [...readLogKeys(body.old_keys), ...readLogKeys(body.new_keys)];
  return body.kind === "log-key-retirement" ? state.keys : signersNow(state);
}

/** The refusal of whatever stands behind the last entry. */
export function closed(finalSize: bigint): CheckError {
  return new CheckError("ERR_LOG_CLOSED", `the log has ended with ${finalSize} entries`);
}

function checkPlace({ origin, operator }: LogState, statement: LogStatement, index: number): void {
  if (statement.origin !== origin) throw misplaced(`origin: want ${origin}`);
  if (statement.index !== index) throw misplaced(`want a statement of index ${index}, got one of ${statement.index}`);
  const named = publicKeyShape.read(statement.operator_key, "statement.operator_key");
  if (named.kid !== operator.kid) throw stranger("another operator than that of the genesis entry");
}

/** What a statement does, its signatures aside. */
function applyStatement(state: LogState, statement: LogStatement): LogState {
  switch (statement.kind) {
    case "log-key-rotation":
      return rotate(state, readLogKeys(statement.old_keys), readLogKeys(statement.new_keys), statement.index);
    case "log-key-retirement":
      return retire(state, statement.rotation_index, statement.index);
    case "log-predecessor":
      return { ...state, predecessor: linked(state, statement.predecessor) };
    case "registration-end":
      return { ...state, endedStreams: ended(state, statement.stream, statement.index) };
    case "log-closing": {
      const { end, reason, successor, final_size: finalSize, index } = statement;
      if (finalSize !== index + 1) throw misplaced(`final_size: want ${index + 1}, got ${finalSize}`);
      if (successor?.origin === state.origin) throw misplaced("successor: want another log");
      return { ...state, closing: { end, reason, finalSize: BigInt(finalSize), successor } };
    }
  }
}

function rotate(
  state: LogState,
  oldKeys: readonly VerifierKey[],
  newKeys: readonly VerifierKey[],
  index: number,
): LogState {
  const { keys, rotations, periods } = state;
  const before = rotations.find((rotation) => isSameKeys(rotation.oldKeys, oldKeys));
  if (before !== undefined) {
    if (isSameKeys(before.newKeys, newKeys)) throw disorder("the rotation took place before");
    throw new CheckError("ERR_ROTATION_FORK", `these keys were rotated to others at index ${before.index}`);
  }
  if (!isSameKeys(keys, oldKeys)) throw stranger("old_keys: want the keys that sign the log's checkpoints");
  if (state.retiring !== undefined) throw disorder("the keys before the newest ones are not retired yet");
  checkNewKeys(state, newKeys);
  const both = { fromSize: BigInt(index) + 1n, keys: [...oldKeys, ...newKeys] };
  return {
    ...state,
    keys: newKeys,
    retiring: oldKeys,
    rotations: [...rotations, { index, oldKeys, newKeys }],
    periods: [...periods, both],
  };
}

/** One Ed25519 and one ML-DSA-44 key of the log's name, neither of which ever was the log's. */
function checkNewKeys({ origin, periods }: LogState, newKeys: readonly VerifierKey[]): void {
  const isPair = newKeys.length === 2 && newKeys[0]?.type === 0x01 && newKeys[1]?.type === 0x06;
  if (!isPair || newKeys.some(({ name }) => name !== origin)) {
    throw stranger(`new_keys: want an Ed25519 and an ML-DSA-44 key with the name ${origin}`);
  }
  const used = periods.flatMap((period) => period.keys);
  if (newKeys.some((key) => used.some((other) => isSameKey(key, other)))) {
    throw disorder("new_keys: want keys that the log never had");
  }
}

function retire(state: LogState, rotationIndex: number, index: number): LogState {
  const { keys, retiring, rotations, periods } = state;
  if (retiring === undefined || rotations.at(-1)?.index !== rotationIndex) {
    throw disorder("want the retirement of keys that were rotated last and sign still");
  }
  return { ...state, retiring: undefined, periods: [...periods, { fromSize: BigInt(index) + 1n, keys }] };
}

function linked({ origin, predecessor }: LogState, next: FinalTree): FinalTree {
  if (predecessor !== undefined) throw disorder("the log has a predecessor already");
  if (next.origin === origin) throw misplaced("predecessor: want another log");
  return next;
}

function ended({ endedStreams }: LogState, stream: string, index: number): ReadonlyMap<string, number> {
  if (endedStreams.has(stream)) throw disorder("the stream is decommissioned already");
  return new Map([...endedStreams, [stream, index]]);
}

function misplaced(what: string): CheckError {
  return new CheckError("ERR_STATEMENT_PLACE", what);
}

function stranger(what: string): CheckError {
  return new CheckError("ERR_LOG_KEY_STRANGER", what);
}

function disorder(what: string): CheckError {
  return new CheckError("ERR_ROTATION_ORDER", what);
}
