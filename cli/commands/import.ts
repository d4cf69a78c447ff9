/** `countersign import`: a log from an archive into a mirror's folder. */

import { createReadStream } from "node:fs";
import { mkdir, stat } from "node:fs/promises";
import { StoreError } from "../../kernel/errors.ts";
import { parseVerifierKey } from "../../kernel/note/verifier-key.ts";
import { openWitnessedCheckpoint, parseWitnessPolicy } from "../../kernel/witness-policy.ts";
import { importLog } from "../../ledger/archive/import-log.ts";
import { ByteReader } from "../../ledger/mirror/byte-reader.ts";
import { MirrorStore, type OpenNote } from "../../ledger/mirror/mirror-store.ts";
import { lockFolder } from "../../ledger/storage/folder-lock.ts";
import { makeNodeDisk } from "../../ledger/storage/node-disk.ts";
import { type Command, EXIT, readArguments, UsageError } from "../command.ts";
import { readText } from "../files.ts";
import type { Io } from "../io.ts";
import { makeProgress } from "../progress.ts";

const IMPORT_HELP = `countersign import <file> --to <folder> --witness-policy <file> [--log-key <vkey>]

Reads an archive into a mirror's folder, which "countersign mirror" serves and brings up to date. The checkpoint is taken
under the policy, and every resource is verified against it before it becomes visible.

  --to <folder>            empty, or left by an import of the same archive that was interrupted
  --witness-policy <file>  log keys, witnesses, quorum (C2SP tlog-policy)
  --log-key <vkey>         a key of the log, if the policy names none

Exit: 0 done; 3 not an archive, or not one that the policy takes.
`;

const IMPORT_OPTIONS = {
  to: { type: "string" },
  "witness-policy": { type: "string" },
  "log-key": { type: "string" },
} as const;

async function runImport(args: readonly string[], io: Io): Promise<number> {
  const given = readArguments(args, IMPORT_OPTIONS, 1);
  const [path] = given.positionals;
  if (path === undefined) throw new UsageError("name the archive");
  const [to, logKey] = [given.required("to"), given.text("log-key")];
  const policy = parseWitnessPolicy(readText(given.required("witness-policy")));
  const logKeys = logKey === undefined ? [] : [parseVerifierKey(logKey)];
  if ((await stat(path).catch(() => undefined)) === undefined) throw new StoreError("ERR_FILE_READ", `no file ${path}`);
  const openNote: OpenNote = (note) => {
    const { size, root } = openWitnessedCheckpoint(note, policy, logKeys).checkpoint;
    return { size, root, note };
  };
  await mkdir(to, { recursive: true });
  const lock = await lockFolder(to);
  const progress = makeProgress("importing", io, () => performance.now());
  try {
    const store = await MirrorStore.open(makeNodeDisk(to), openNote);
    const reader = new ByteReader(createReadStream(path), "ERR_LOG_ARCHIVE");
    const { origin, size } = await importLog({ reader, store, openNote, onProgress: progress.update });
    progress.end();
    io.out(`${origin}: a log of ${size} entries\n`);
    return EXIT.ok;
  } finally {
    progress.end();
    await lock.release();
  }
}

/** Reads a log from a file. */
export const importCommand: Command = {
  name: "import",
  summary: "read a log from an export, verified",
  help: IMPORT_HELP,
  run: runImport,
};
