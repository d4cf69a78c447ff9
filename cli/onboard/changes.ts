/**
 * Changes of foreign files: a backup beside each, and a record of all in `<data>/changes.json`. A change is recorded
 * before it is made, so that a crash in between leaves a record whose file is as it was.
 */

import { createHash } from "node:crypto";
import { existsSync, realpathSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { formatUtf8 } from "../../kernel/bytes.ts";
import { StoreError } from "../../kernel/errors.ts";
import { array, literal, object, type Shape, string } from "../../kernel/shape.ts";
import { readBytes, readJsonFile, replaceFile, writeNewFile } from "../files.ts";

/** One change of one file. */
export type FileChange = {
  readonly host: string;
  /** Absolute, symbolic links followed. */
  readonly path: string;
  readonly backup: string;
  /** Hexadecimal SHA-256 of the file before and after. */
  readonly before: string;
  readonly after: string;
  /** Version of this package that made it. */
  readonly version: string;
};

type ChangeRecord = { readonly v: 1; readonly changes: readonly FileChange[] };

const recordShape: Shape<ChangeRecord> = object<ChangeRecord>({
  v: literal(1),
  changes: array(
    object<FileChange>({
      host: string(),
      path: string(),
      backup: string(),
      before: string({ pattern: /^[0-9a-f]{64}$/u, maxLength: 64, description: "a SHA-256" }),
      after: string({ pattern: /^[0-9a-f]{64}$/u, maxLength: 64, description: "a SHA-256" }),
      version: string(),
    }),
  ),
});

/** What became of a recorded change. */
export interface Undone {
  readonly change: FileChange;
  /** `kept`: the file was changed by somebody else since, or its backup is not what it was. */
  readonly result: "restored" | "untouched" | "kept";
}

/** The changes that are recorded in a data folder, oldest first. @throws {FormatError} ERR_SHAPE, ERR_JSON_* */
export function readChanges(data: string): readonly FileChange[] {
  const path = recordPath(data);
  return existsSync(path) ? readJsonFile(path, (value) => recordShape.read(value, "changes")).changes : [];
}

/**
 * Replaces a file's content, with a backup beside it.
 *
 * @param expected  its bytes when the change was planned
 * @throws {StoreError} ERR_FILE_CHANGED if it has other bytes now; ERR_FILE_WRITE
 */
export function changeFile(
  data: string,
  { host, path, version }: Pick<FileChange, "host" | "path" | "version">,
  expected: Uint8Array,
  content: string,
): FileChange {
  const file = realpathSync(path);
  const before = digestOf(expected);
  if (digestOf(readBytes(file)) !== before) {
    throw new StoreError("ERR_FILE_CHANGED", `${path} was changed meanwhile; nothing was done to it`);
  }
  const after = formatUtf8(content);
  const change = { host, path: file, backup: freeName(file), before, after: digestOf(after), version };
  // A backup may hold tokens.
  replaceFile(change.backup, expected, 0o600);
  writeRecord(data, [...readChanges(data), change]);
  replaceFile(file, after, modeOf(file));
  return change;
}

/** Restores every recorded change, newest first, byte for byte. What somebody changed since is left, and stays recorded. */
export function undoChanges(data: string): readonly Undone[] {
  const undone: Undone[] = [];
  const kept: FileChange[] = [];
  for (const change of readChanges(data).toReversed()) {
    const result = undo(change, kept);
    if (result === "kept") kept.unshift(change);
    undone.push({ change, result });
  }
  writeRecord(data, kept);
  // Only now: a crash before this leaves backups without a record, never a record without its backup.
  for (const { change, result } of undone) if (result !== "kept") rmSync(change.backup, { force: true });
  return undone;
}

function undo({ path, backup, before, after }: FileChange, kept: readonly FileChange[]): Undone["result"] {
  if (!existsSync(path) || !existsSync(backup)) return "kept";
  // An older change of a file is under the newer one that could not be undone.
  if (kept.some((other) => other.path === path)) return "kept";
  const [now, old] = [digestOf(readBytes(path)), readBytes(backup)];
  if (digestOf(old) !== before) return "kept";
  if (now === before) return "untouched";
  if (now !== after) return "kept";
  replaceFile(path, old, modeOf(path));
  return "restored";
}

function writeRecord(data: string, changes: readonly FileChange[]): void {
  const text = `${JSON.stringify({ v: 1, changes } satisfies ChangeRecord, null, 2)}\n`;
  if (existsSync(recordPath(data))) replaceFile(recordPath(data), formatUtf8(text), 0o600);
  else writeNewFile(recordPath(data), text, 0o600);
}

function recordPath(data: string): string {
  return join(data, "changes.json");
}

function freeName(path: string): string {
  for (let number = 1; ; number += 1) {
    const name = `${path}.countersign-backup${number === 1 ? "" : `-${number}`}`;
    if (!existsSync(name)) return name;
  }
}

function modeOf(path: string): number {
  return statSync(path).mode & 0o777;
}

function digestOf(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
