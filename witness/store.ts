/**
 * Durable state of a witness: one file an origin, replaced atomically; bounded evidence beside it.
 *
 * File `<hex SHA-256(origin)>.state`: line 1 `countersign-witness-state/v1 <hex SHA-256 of the rest>`, then the cosigned
 * checkpoint as the monitoring path serves it. Written as temporary file, fsync, rename, fsync of the folder: a
 * crash leaves the old state or the new one. A file that does not hash to its first line is damage, and refuses to start.
 */

import { sha256 } from "#crypto";
import { concat, formatUtf8, parseUtf8 } from "../kernel/bytes.ts";
import { parseCheckpoint } from "../kernel/checkpoint/checkpoint.ts";
import { EMPTY_TREE, type TreeHead } from "../kernel/checkpoint-judge.ts";
import { isCodedError, StoreError } from "../kernel/errors.ts";
import { formatHex } from "../kernel/hex.ts";
import { parseNote } from "../kernel/note/signed-note.ts";

/** The files a witness needs; the caller says what is behind them. */
export interface StateFiles {
  /** Content of a file, or undefined if there is none. */
  readonly read: (name: string) => Promise<Uint8Array | undefined>;
  /**
   * Replaces a file atomically; durable when it resolves.
   * @throws if it may not be durable: the state on disk is then unknown
   */
  readonly replace: (name: string, content: Uint8Array) => Promise<void>;
  /** Names in the evidence folder. */
  readonly listEvidence: () => Promise<readonly string[]>;
  /** Adds a file of evidence; durable when it resolves. */
  readonly addEvidence: (name: string, content: Uint8Array) => Promise<void>;
}

/** What is recorded of one log: its tree head and the cosigned checkpoint, absent before the first one. */
export interface RecordedState {
  readonly head: TreeHead;
  readonly note?: string;
}

const MAGIC = "countersign-witness-state/v1";
const MAX_EVIDENCE_PER_ORIGIN = 256;

/** Hex SHA-256 of the origin: the monitoring path element and the file name. */
export function originHash(origin: string): string {
  return formatHex(sha256(formatUtf8(origin)));
}

/**
 * Reads the recorded state of `origin`.
 *
 * @throws {StoreError} ERR_WITNESS_STATE, fatal, naming the file, if it is damaged or of another log
 */
export async function readState(files: StateFiles, origin: string): Promise<RecordedState> {
  const name = stateName(origin);
  const content = await files.read(name);
  if (content === undefined) return { head: EMPTY_TREE };
  try {
    return parseState(content, origin);
  } catch (cause) {
    const why = isCodedError(cause) ? cause.message : String(cause);
    const message = `the state file ${name} is damaged (${why}); restore the newest copy, never an older one`;
    throw new StoreError("ERR_WITNESS_STATE", message, { cause, fatal: true });
  }
}

/** Records a cosigned checkpoint; durable when it resolves. @throws {StoreError} ERR_WITNESS_STATE, fatal */
export async function writeState(files: StateFiles, origin: string, note: string): Promise<void> {
  try {
    await files.replace(stateName(origin), formatState(note));
  } catch (cause) {
    // The bytes may or may not be on disk: only a restart, which reads them, can tell.
    throw new StoreError("ERR_WITNESS_STATE", "the state could not be written durably", { cause, fatal: true });
  }
}

/** Keeps a signed checkpoint that contradicts the recorded one; at most 256 an origin, each once. */
export async function keepEvidence(
  files: StateFiles,
  origin: string,
  recorded: RecordedState,
  note: string,
): Promise<void> {
  const prefix = originHash(origin).slice(0, 16);
  const name = `${prefix}-${formatHex(sha256(formatUtf8(note)))}.evidence`;
  const kept = (await files.listEvidence()).filter((other) => other.startsWith(prefix));
  if (kept.includes(name) || kept.length >= MAX_EVIDENCE_PER_ORIGIN) return;
  await files.addEvidence(name, formatUtf8(`${recorded.note ?? ""}\u0000${note}`));
}

function stateName(origin: string): string {
  return `${originHash(origin)}.state`;
}

function formatState(note: string): Uint8Array {
  const body = formatUtf8(note);
  return concat(formatUtf8(`${MAGIC} ${formatHex(sha256(body))}\n`), body);
}

function parseState(content: Uint8Array, origin: string): RecordedState {
  const lineEnd = content.indexOf(0x0a);
  const body = content.subarray(lineEnd + 1);
  if (parseUtf8(content.subarray(0, lineEnd + 1)) !== `${MAGIC} ${formatHex(sha256(body))}\n`) {
    throw new StoreError("ERR_WITNESS_STATE", "its content is not what its first line names");
  }
  const note = parseUtf8(body);
  const checkpoint = parseCheckpoint(parseNote(note).text);
  if (checkpoint.origin !== origin) throw new StoreError("ERR_WITNESS_STATE", "it is the state of another log");
  return { head: { size: checkpoint.size, root: checkpoint.root }, note };
}
