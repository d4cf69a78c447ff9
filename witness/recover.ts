/**
 * An operator's decision about a state that is older than what the witness has cosigned: a data folder that was put back
 * from a copy. Runs while the witness does not, and is written into the journal with the operator's reason.
 *
 * For each log there are two ways back. The newest checkpoint that carries this witness's line, from whoever published it,
 * says what was cosigned: it becomes the state. Without one the operator may accept the recorded state; the witness may
 * then cosign a second history of that log, and only the operator can know that it will not.
 */

import { equalBytes } from "../kernel/bytes.ts";
import { parseCheckpoint } from "../kernel/checkpoint/checkpoint.ts";
import type { Cosigner } from "../kernel/checkpoint/note-signer.ts";
import { verifyLines } from "../kernel/checkpoint/open-note.ts";
import { CheckError, FormatError } from "../kernel/errors.ts";
import { formatNote, parseNote } from "../kernel/note/signed-note.ts";
import { type Fence, openFence, whyBehindFence } from "./fence.ts";
import { JOURNAL_NAME } from "./journal.ts";
import { formatFrame, type JournalRecord } from "./journal-frame.ts";
import { removeOldStates } from "./old-state.ts";
import { ownCosigners } from "./sign-subtree.ts";
import { type FoundJournal, readJournal, type StateFacts } from "./state-book.ts";
import type { StateFiles } from "./state-files.ts";
import { openFenceFile, openStateFolder } from "./state-folder.ts";
import type { WitnessedLog } from "./witness.ts";

/** What an operator decides. */
export interface Recovery {
  /** Notes of checkpoints that this witness has cosigned. */
  readonly checkpoints: readonly string[];
  /** Logs whose recorded state is accepted as it is; `all` for every one. */
  readonly accept: "all" | readonly string[];
  /** Why, in one line; kept in the journal. */
  readonly reason: string;
}

/** Who decides about what. */
export interface RecoverOptions {
  readonly dataDir: string;
  readonly fenceFile: string | undefined;
  readonly logs: readonly WitnessedLog[];
  readonly cosigners: readonly Cosigner[];
  readonly recovery: Recovery;
}

/** What became of the state. */
export interface Recovered {
  /** Why an operator was needed; undefined if none was. */
  readonly why: string | undefined;
  /** Logs whose state was taken from a checkpoint, with its size. */
  readonly adopted: readonly { readonly origin: string; readonly size: bigint }[];
  /** True if no log is suspended any more. */
  readonly isCleared: boolean;
}

/**
 * Applies a decision to a data folder and its fence.
 *
 * @throws {FormatError} ERR_CONFIG (no reason, a log that is not listed), and as `parseNote` and `parseCheckpoint`
 * @throws {CheckError} ERR_LOG_SIGNATURE, ERR_WITNESS_COSIGNATURE, ERR_SIZE_RANGE (older than what is recorded),
 *   ERR_ROOT_MISMATCH (another tree of the recorded size)
 * @throws {StoreError} ERR_FOLDER_LOCKED, ERR_WITNESS_STATE
 */
export async function recoverWitness(options: RecoverOptions): Promise<Recovered> {
  const reason = options.recovery.reason.trim();
  if (reason === "" || reason.includes("\n")) throw new FormatError("ERR_CONFIG", "want a reason of one line");
  const folder = await openStateFolder(options.dataDir);
  const file = options.fenceFile === undefined ? undefined : openFenceFile(options.fenceFile);
  try {
    const fence = file === undefined ? undefined : await openFence(file, true);
    return await decide(options, reason, folder, fence);
  } finally {
    await file?.close();
    await folder.release();
  }
}

async function decide(
  { logs, cosigners, recovery }: RecoverOptions,
  reason: string,
  files: StateFiles,
  fence: Fence | undefined,
): Promise<Recovered> {
  const found = await readJournal(files);
  const { facts } = found;
  const why = facts.suspension?.why ?? whyNow(found, fence);
  if (why !== undefined && facts.suspension === undefined) facts.apply({ kind: "suspended", text: why });
  const adopted = recovery.checkpoints.map((note) => adopt(facts, note, logs, cosigners));
  const accepted = recovery.accept === "all" ? [] : recovery.accept;
  for (const origin of [...adopted.map((each) => each.origin), ...accepted]) {
    if (!logs.some((log) => log.origin === origin))
      throw new FormatError("ERR_CONFIG", `${origin} is not in the list of logs`);
    facts.apply({ kind: "resumed", text: `${origin}\n${reason}` });
  }
  const decision: readonly JournalRecord[] = recovery.accept === "all" ? [{ kind: "cleared", text: reason }] : [];
  await write(files, fence, found, [...facts.records(), ...decision]);
  await removeOldStates(files);
  return { why, adopted, isCleared: decision.length > 0 || facts.suspension === undefined };
}

function whyNow({ frames, isNew, beyond }: FoundJournal, fence: Fence | undefined): string | undefined {
  if (beyond !== undefined) return `a state of version 0.1.0 of ${beyond} is beyond the journal's`;
  if (fence === undefined) return undefined;
  if (fence.position !== undefined) return whyBehindFence(fence.position, frames);
  return isNew ? undefined : "there is no fence file, or none that can be read";
}

/** Takes a checkpoint as the state of its log, if the log and this witness signed it and it is no step back. */
function adopt(
  facts: StateFacts,
  text: string,
  logs: readonly WitnessedLog[],
  cosigners: readonly Cosigner[],
): { readonly origin: string; readonly size: bigint } {
  const note = parseNote(text);
  const { origin, size, root } = parseCheckpoint(note.text);
  const keys = logs.find((log) => log.origin === origin)?.keys ?? [];
  const logLines = verifyLines(note, keys);
  if (logLines.length === 0) throw new CheckError("ERR_LOG_SIGNATURE", `no key of ${origin} signed the checkpoint`);
  const own = verifyLines(
    note,
    ownCosigners(note, cosigners).map(({ key }) => key),
  );
  if (own.length === 0) {
    throw new CheckError("ERR_WITNESS_COSIGNATURE", `the checkpoint of ${origin} has no line of this witness`);
  }
  const head = facts.states.get(origin)?.head;
  if (head !== undefined && size < head.size) {
    throw new CheckError(
      "ERR_SIZE_RANGE",
      `${origin}: want at least size ${head.size}, which is recorded, got ${size}`,
    );
  }
  if (head !== undefined && size === head.size && !equalBytes(root, head.root)) {
    throw new CheckError("ERR_ROOT_MISMATCH", `${origin}: another tree of size ${size} is recorded`);
  }
  const lines = [...logLines, ...own].map(({ line }) => line);
  facts.apply({ kind: "cosigned", text: formatNote(note.text, lines) });
  return { origin, size };
}

/** One new frame in place of the journal, ahead of both; then the fence. A crash between them leaves what starts. */
async function write(
  files: StateFiles,
  fence: Fence | undefined,
  found: FoundJournal,
  records: readonly JournalRecord[],
): Promise<void> {
  const fenced = fence?.position;
  const before = fenced !== undefined && fenced.seq > found.position.seq ? fenced : found.position;
  const { bytes, position } = formatFrame(before, records);
  await files.replace(JOURNAL_NAME, bytes);
  await fence?.advance(position);
}
