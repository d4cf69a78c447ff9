/** `countersign restore`: a data folder from a backup, after asking who has seen more. */

import { availableParallelism } from "node:os";
import { parseWitnessPolicy } from "../../kernel/witness-policy.ts";
import { restore } from "../../ledger/backup/restore.ts";
import { type Command, EXIT, readArguments, UsageError } from "../command.ts";
import { readText } from "../files.ts";
import type { Io } from "../io.ts";

const RESTORE_HELP = `countersign restore <backup> --to <data folder> --witness-policy <file> [--published <url>] [--dry-run]

Makes a data folder from a backup. The backup is checked whole, and everybody who may have seen more of the log is asked
before: a ledger that goes on from an older state than it has shown signs a second history.

  --to <folder>            the data folder; it must not exist, or be empty
  --witness-policy <file>  the log's witnesses with their addresses (C2SP tlog-policy)
  --published <url>        prefix where the log, or a mirror of it, is published
  --timeout-ms <n>         bound of one question; default 10000
  --accept-silence         restore although somebody did not answer. Never use it for a log that has published since
  --dry-run                check and ask; make nothing

Exit: 0 done; 1 somebody has seen more than the backup holds, or another history; 3 unusable input, or nobody answered.
`;

const RESTORE_OPTIONS = {
  to: { type: "string" },
  "witness-policy": { type: "string" },
  published: { type: "string" },
  "timeout-ms": { type: "string" },
  "accept-silence": { type: "boolean" },
  "dry-run": { type: "boolean" },
} as const;

async function runRestore(args: readonly string[], io: Io): Promise<number> {
  const given = readArguments(args, RESTORE_OPTIONS, 1);
  const [backup] = given.positionals;
  if (backup === undefined) throw new UsageError("name the backup");
  const [published, timeout] = [given.text("published"), given.text("timeout-ms") ?? "10000"];
  if (!/^[1-9][0-9]{0,6}$/u.test(timeout)) throw new UsageError("--timeout-ms: want a number of milliseconds");
  const policy = parseWitnessPolicy(readText(given.required("witness-policy")));
  const isDryRun = given.flag("dry-run");
  try {
    const { size, seen } = await restore({
      backup,
      to: given.required("to"),
      policy,
      published: published === undefined ? [] : [published.replace(/\/+$/u, "")],
      fetch,
      timeoutMs: Number(timeout),
      isForced: given.flag("accept-silence"),
      isDryRun,
      workers: availableParallelism(),
    });
    for (const { url, size: seenSize } of seen)
      io.out(`${url}: ${seenSize === undefined ? "unknown log" : `size ${seenSize}`}\n`);
    io.out(`${isDryRun ? "would restore" : "restored"} ${size} entries\n`);
    return EXIT.ok;
  } catch (error) {
    const isRefusal =
      error instanceof Error && "code" in error && /^ERR_LOG_(?:BEHIND|FORKED)$/u.test(String(error.code));
    if (!isRefusal) throw error;
    io.err(`countersign restore: ${String(error.code)}: ${error.message}\n`);
    return EXIT.failed;
  }
}

/** Makes a data folder from a copy. */
export const restoreCommand: Command = {
  name: "restore",
  summary: "make a data folder from a backup",
  help: RESTORE_HELP,
  run: runRestore,
};
