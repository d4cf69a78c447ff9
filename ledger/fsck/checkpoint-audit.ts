/**
 * Checks the published checkpoint: every signature of the log's keys, and every cosignature if the witnesses' keys are
 * given. A line of a key that nobody gave cannot be judged, which is said.
 */

import { parseCheckpoint } from "../../kernel/checkpoint/checkpoint.ts";
import { verifyLines } from "../../kernel/checkpoint/open-note.ts";
import { isCodedError } from "../../kernel/errors.ts";
import { type LogState, signersAt } from "../../kernel/lifecycle/log-state.ts";
import { isSameKey } from "../../kernel/lifecycle/statement.ts";
import { parseNote, type SignedNote } from "../../kernel/note/signed-note.ts";
import { formatVerifierKey } from "../../kernel/note/verifier-key.ts";
import { checkQuorum, type WitnessPolicy } from "../../kernel/witness-policy.ts";
import { CHECKPOINT_PATH } from "../checkpoint/publisher.ts";
import type { DataFolder } from "./data-folder.ts";
import type { Findings } from "./finding.ts";
import type { HeadClaim } from "./tree-audit.ts";

/** Who may have signed. */
export interface Signers {
  /** Undefined if the genesis entry cannot be read. */
  readonly state: LogState | undefined;
  readonly policy: WitnessPolicy | undefined;
}

/** The head that the published checkpoint claims, if there is one that can be read. */
export async function readCheckpointClaim(
  folder: DataFolder,
  findings: Findings,
  wanted: string | undefined,
): Promise<readonly HeadClaim[]> {
  const bytes = await folder.read(CHECKPOINT_PATH);
  if (bytes === undefined) {
    findings.remark(CHECKPOINT_PATH, "nothing is published");
    return [];
  }
  try {
    const note = parseNote(bytes);
    const { origin, size, root } = parseCheckpoint(note.text);
    if (wanted !== undefined && origin !== wanted) {
      findings.add({ path: CHECKPOINT_PATH, code: "ERR_ORIGIN", message: `want ${wanted}` });
    }
    return [{ path: CHECKPOINT_PATH, name: "the published checkpoint", size, root }];
  } catch (error) {
    if (!isCodedError(error)) throw error;
    findings.add({ path: CHECKPOINT_PATH, code: error.code, message: error.message });
    return [];
  }
}

/** Checks the signatures of the published checkpoint, once it is known which keys the log had at its size. */
export async function auditCheckpoint(folder: DataFolder, findings: Findings, signers: Signers): Promise<void> {
  const bytes = await folder.read(CHECKPOINT_PATH);
  // What cannot be read was told before.
  if (bytes === undefined || findings.names(CHECKPOINT_PATH)) return;
  try {
    const note = parseNote(bytes);
    checkLines(note, parseCheckpoint(note.text).size, signers, findings);
  } catch (error) {
    if (!isCodedError(error)) throw error;
    findings.add({ path: CHECKPOINT_PATH, code: error.code, message: error.message });
  }
}

/** Each key of the log at this size must have signed, no known line may be false, and the quorum must be there. */
function checkLines(note: SignedNote, size: bigint, { state, policy }: Signers, findings: Findings): void {
  const wanted = state === undefined ? [] : signersAt(state, size);
  const logKeys = state?.periods.flatMap(({ keys }) => keys) ?? [];
  const witnessKeys = policy?.witnesses.map(({ key }) => key) ?? [];
  const verified = verifyLines(note, [...logKeys, ...witnessKeys]);
  for (const key of wanted) {
    if (verified.some((line) => isSameKey(line.key, key))) continue;
    const message = `no signature of the log's key ${formatVerifierKey(key).slice(0, 80)}`;
    findings.add({ path: CHECKPOINT_PATH, code: "ERR_LOG_SIGNATURE", message });
  }
  const known = new Set(verified.map(({ line }) => line));
  for (const { name, line } of note.signatures) {
    if (known.has(line)) continue;
    if (policy === undefined || logKeys.length === 0)
      findings.remark(CHECKPOINT_PATH, `the line of ${name} was not checked: its key is not given`);
    else findings.add({ path: CHECKPOINT_PATH, code: "ERR_NOTE_SIGNATURE", message: `${name} is in no policy` });
  }
  if (policy === undefined) return;
  checkQuorum(
    policy,
    verified.map(({ key }) => key),
  );
}
