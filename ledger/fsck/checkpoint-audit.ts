/**
 * Checks the published checkpoints, the witnessed one and that of the degraded mode: every signature of the log's keys, and
 * every cosignature if the witnesses' keys are given. A line of a key that nobody gave cannot be judged, which is said.
 */

import { parseCheckpoint } from "../../kernel/checkpoint/checkpoint.ts";
import { verifyLines } from "../../kernel/checkpoint/open-note.ts";
import { isCodedError } from "../../kernel/errors.ts";
import { type LogState, signersAt } from "../../kernel/lifecycle/log-state.ts";
import { isSameKey } from "../../kernel/lifecycle/statement.ts";
import { parseNote, type SignedNote } from "../../kernel/note/signed-note.ts";
import { formatVerifierKey } from "../../kernel/note/verifier-key.ts";
import { checkQuorum, type WitnessPolicy } from "../../kernel/witness-policy.ts";
import { CHECKPOINT_PATH, UNWITNESSED_PATH } from "../checkpoint/publisher.ts";
import type { DataFolder } from "./data-folder.ts";
import type { Findings } from "./finding.ts";
import type { HeadClaim } from "./tree-audit.ts";

/** Who may have signed. */
export interface Signers {
  /** Undefined if the genesis entry cannot be read. */
  readonly state: LogState | undefined;
  readonly policy: WitnessPolicy | undefined;
}

/** A file with a checkpoint that readers have seen. */
export interface PublishedFile {
  readonly path: string;
  /** What it is, for messages. */
  readonly name: string;
  /** Whether a quorum must have cosigned it, and something is amiss without it. */
  readonly isWitnessed: boolean;
}

const FILES: readonly PublishedFile[] = [
  { path: CHECKPOINT_PATH, name: "the published checkpoint", isWitnessed: true },
  { path: UNWITNESSED_PATH, name: "the checkpoint published without a quorum", isWitnessed: false },
];

/** The heads that the published checkpoints claim, as far as they are there and can be read. */
export async function readCheckpointClaims(
  folder: DataFolder,
  findings: Findings,
  wanted: string | undefined,
  files: readonly PublishedFile[] = FILES,
): Promise<readonly HeadClaim[]> {
  const claims = await Promise.all(files.map((file) => readClaim(file, folder, findings, wanted)));
  return claims.flat();
}

async function readClaim(
  { path, name, isWitnessed }: PublishedFile,
  folder: DataFolder,
  findings: Findings,
  wanted: string | undefined,
): Promise<readonly HeadClaim[]> {
  const bytes = await folder.read(path);
  if (bytes === undefined) {
    if (isWitnessed) findings.remark(path, "nothing is published");
    return [];
  }
  try {
    const note = parseNote(bytes);
    const { origin, size, root } = parseCheckpoint(note.text);
    if (wanted !== undefined && origin !== wanted) {
      findings.add({ path, code: "ERR_ORIGIN", message: `want ${wanted}` });
    }
    return [{ path, name, size, root }];
  } catch (error) {
    if (!isCodedError(error)) throw error;
    findings.add({ path, code: error.code, message: error.message });
    return [];
  }
}

/** Checks the signatures of the published checkpoints, once it is known which keys the log had at their sizes. */
export async function auditCheckpoints(
  folder: DataFolder,
  findings: Findings,
  signers: Signers,
  files: readonly PublishedFile[] = FILES,
): Promise<void> {
  for (const file of files) await auditCheckpoint(file, folder, findings, signers);
}

async function auditCheckpoint(
  file: PublishedFile,
  folder: DataFolder,
  findings: Findings,
  signers: Signers,
): Promise<void> {
  const bytes = await folder.read(file.path);
  // What cannot be read was told before.
  if (bytes === undefined || findings.names(file.path)) return;
  try {
    const note = parseNote(bytes);
    checkLines(note, parseCheckpoint(note.text).size, file, signers, findings);
  } catch (error) {
    if (!isCodedError(error)) throw error;
    findings.add({ path: file.path, code: error.code, message: error.message });
  }
}

/** Each key of the log at this size must have signed, no known line may be false, and the quorum must be there if one is due. */
function checkLines(
  note: SignedNote,
  size: bigint,
  { path, isWitnessed }: PublishedFile,
  { state, policy }: Signers,
  findings: Findings,
): void {
  const wanted = state === undefined ? [] : signersAt(state, size);
  const logKeys = state?.periods.flatMap(({ keys }) => keys) ?? [];
  const witnessKeys = policy?.witnesses.map(({ key }) => key) ?? [];
  const verified = verifyLines(note, [...logKeys, ...witnessKeys]);
  for (const key of wanted) {
    if (verified.some((line) => isSameKey(line.key, key))) continue;
    const message = `no signature of the log's key ${formatVerifierKey(key).slice(0, 80)}`;
    findings.add({ path, code: "ERR_LOG_SIGNATURE", message });
  }
  const known = new Set(verified.map(({ line }) => line));
  for (const { name, line } of note.signatures) {
    if (known.has(line)) continue;
    if (policy === undefined || logKeys.length === 0)
      findings.remark(path, `the line of ${name} was not checked: its key is not given`);
    else findings.add({ path, code: "ERR_NOTE_SIGNATURE", message: `${name} is in no policy` });
  }
  if (policy === undefined || !isWitnessed) return;
  checkQuorum(
    policy,
    verified.map(({ key }) => key),
  );
}
