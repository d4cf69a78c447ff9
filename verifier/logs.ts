/** Obligations about logs: `log.signature`, `log.quorum`, `log.inclusion`; and when the witnesses saw the entries. */

import type { BundleLog } from "../kernel/bundle.ts";
import { type Checkpoint, parseCheckpoint } from "../kernel/checkpoint/checkpoint.ts";
import { CheckError, isCodedError } from "../kernel/errors.ts";
import type { LogState } from "../kernel/lifecycle/log-state.ts";
import { hashLeaf } from "../kernel/merkle/hash.ts";
import { parseNote } from "../kernel/note/signed-note.ts";
import type { VerifierKey } from "../kernel/note/verifier-key.ts";
import type { TrustPolicy } from "../kernel/trust-policy.ts";
import {
  type Cosignature,
  openLogCheckpoint,
  openWitnessedCheckpoint,
  quorumTime,
  type WitnessPolicy,
} from "../kernel/witness-policy.ts";
import { makeInclusionChecker } from "./inclusion.ts";
import { type FollowedLog, followLog } from "./log-keys.ts";
import { entrySubject, type LogEntry } from "./read-entries.ts";
import { doubt, type Finding, fault, faultOf, findingsOf, type Judgement, judge, resting } from "./verdict.ts";

/** The verdicts about all logs of a bundle. */
export interface LogJudgement {
  readonly signature: Judgement;
  readonly quorum: Judgement;
  readonly inclusion: Judgement;
  /**
   * Per origin: POSIX milliseconds at which, by the witnesses' own clocks, a quorum had cosigned the checkpoint. Logs
   * without a quorum have none.
   */
  readonly witnessedMs: ReadonlyMap<string, number>;
  /** Per origin: what the log's statements in the bundle say, if they hold. */
  readonly states: ReadonlyMap<string, LogState>;
}

/** Latest time that a timestamp can spell; a witness that claims a later one says nothing. */
const MAX_MS = 253_402_300_799_999n;

/** What opening one log's checkpoint gave. */
interface OpenedLog {
  readonly log: BundleLog;
  /** Absent if the text is no checkpoint at all. */
  readonly checkpoint: Checkpoint | undefined;
  readonly signature: readonly Finding[];
  readonly quorum: readonly Finding[];
  readonly witnessedMs: number | undefined;
  readonly state?: LogState;
}

/** Judges the checkpoints of a bundle and the proofs of its entries. Each checkpoint is opened once. */
export function judgeLogs(logs: readonly BundleLog[], entries: readonly LogEntry[], trust: TrustPolicy): LogJudgement {
  const opened = logs.map((log) => openLog(log, trust));
  const none = entries.length === 0 ? [doubt("entries.none", "bundle", "the bundle holds no entry of a log")] : [];
  const names = logs.map(({ origin }) => origin).join(", ");
  const signature = judge([...none, ...opened.flatMap((log) => log.signature)], `checkpoints of ${names}`);
  const quorum = judge([...none, ...opened.flatMap((log) => log.quorum)], `checkpoints of ${names}`);
  const inclusion = judge([...none, ...checkEntries(opened, entries)], `${entries.length} entries`);
  return {
    signature,
    quorum: resting(quorum, "log.unauthenticated", signature),
    inclusion: resting(inclusion, "log.unauthenticated", signature),
    witnessedMs: new Map(
      opened.flatMap(({ log, witnessedMs }) => (witnessedMs === undefined ? [] : [[log.origin, witnessedMs]])),
    ),
    states: new Map(opened.flatMap(({ log, state }) => (state === undefined ? [] : [[log.origin, state]]))),
  };
}

function openLog(log: BundleLog, trust: TrustPolicy): OpenedLog {
  const { origin } = log;
  const checkpoint = readCheckpoint(log.checkpoint);
  const base = { log, checkpoint, quorum: [], witnessedMs: undefined };
  const policy = trust.logs.get(origin);
  if (policy === undefined) {
    return { ...base, signature: [fault("ERR_ORIGIN", origin, "the trust policy names no log of this origin")] };
  }
  let followed: FollowedLog | undefined;
  const signature = findingsOf(origin, () => {
    followed = checkpoint === undefined ? undefined : followLog(log, checkpoint, policy);
    checkLogSignature(log, followed?.keys ?? policy.logs.map(({ key }) => key));
  });
  if (signature.length > 0) return { ...base, signature };
  const known = followed === undefined ? policy : { ...policy, logs: followed.keys.map((key) => ({ key })) };
  return judgeQuorum(log, known, { ...base, signature, ...(followed === undefined ? {} : { state: followed.state }) });
}

/** @param policy  with the keys that the log has */
function judgeQuorum(log: BundleLog, policy: WitnessPolicy, base: OpenedLog): OpenedLog {
  if (policy.quorum === "none") {
    return { ...base, quorum: [doubt("quorum.none", log.origin, "the witness policy wants no cosignature")] };
  }
  return { ...base, ...checkWitnesses(log, policy) };
}

function checkLogSignature({ origin, checkpoint }: BundleLog, keys: readonly VerifierKey[]): void {
  const opened = openLogCheckpoint(
    checkpoint,
    keys.filter(({ name }) => name === origin),
  );
  if (opened.checkpoint.origin !== origin) {
    throw new CheckError("ERR_ORIGIN", "the checkpoint is of another log than the bundle says");
  }
}

function checkWitnesses(
  { origin, checkpoint }: BundleLog,
  policy: WitnessPolicy,
): Pick<OpenedLog, "quorum" | "witnessedMs"> {
  try {
    const { cosignatures } = openWitnessedCheckpoint(checkpoint, policy);
    return { quorum: [], witnessedMs: witnessTime(policy, cosignatures) };
  } catch (error) {
    return { quorum: [faultOf(error, origin)], witnessedMs: undefined };
  }
}

/** Time of the quorum, not of the first witness: one witness whose clock is wrong cannot move it. */
function witnessTime(policy: WitnessPolicy, cosignatures: readonly Cosignature[]): number | undefined {
  const seconds = quorumTime(policy, cosignatures);
  const ms = seconds === undefined ? undefined : seconds * 1000n;
  return ms === undefined || ms > MAX_MS ? undefined : Number(ms);
}

function readCheckpoint(note: string): Checkpoint | undefined {
  try {
    return parseCheckpoint(parseNote(note).text);
  } catch (error) {
    if (!isCodedError(error)) throw error;
    return undefined;
  }
}

/** A proof that is false is a fault under any checkpoint; a checkpoint that cannot be read proves nothing. */
function checkEntries(opened: readonly OpenedLog[], entries: readonly LogEntry[]): readonly Finding[] {
  return opened.flatMap(({ log, checkpoint }) => {
    const ofLog = entries.filter(({ origin }) => origin === log.origin);
    if (checkpoint === undefined) return ofLog.map((at) => fault("ERR_CHECKPOINT", entrySubject(at), "no checkpoint"));
    const check = makeInclusionChecker(checkpoint.root, checkpoint.size);
    return ofLog.flatMap((at) =>
      findingsOf(entrySubject(at), () => check(hashLeaf(at.bytes), at.entry.index, at.entry.proof)),
    );
  });
}
