/** `countersign prune`: raises the minimum index of a log under its retention policy. */

import { pruneStored } from "../../ledger/postgres-s3/stored-retention.ts";
import { prune } from "../../ledger/retention/prune.ts";
import { type Arguments, type Command, EXIT, readArguments, UsageError } from "../command.ts";
import type { Io } from "../io.ts";
import { readLogPlace } from "../log-place.ts";

const HELP = `countersign prune <data folder> --before-index <n> --retention-policy <text> [--delete] [--dry-run]
       countersign prune --config <ledger.json> [--log <name>] --before-index <n> --retention-policy <text> [--apply]

Raises the minimum index of a stopped log (C2SP tlog-tiles): full entry bundles that end at or below it are refused from
the next start on, and /metadata publishes index and policy. Hash tiles stay: every proof stays obtainable.

With --config the log is the one of a ledger's configuration, in PostgreSQL and an S3-compatible store. Nothing is changed without
--apply; its nodes may run, and refuse those bundles within seconds, as exports do. No object is deleted.

  --config <file>            the configuration of the ledger
  --log <name>               which log of a configuration of several
  --apply                    do it, with --config
  --before-index <n>         the new minimum index; at most the published size; it never goes back
  --retention-policy <text>  where the published retention policy stands, or what it is called
  --delete                   also delete those bundles, of a raw log; without it they are only refused
  --dry-run                  say what would be done; change nothing

Exit: 0 done; 3 not allowed, or the folder is unusable.
`;

const OPTIONS = {
  config: { type: "string" },
  log: { type: "string" },
  apply: { type: "boolean" },
  "before-index": { type: "string" },
  "retention-policy": { type: "string" },
  delete: { type: "boolean" },
  "dry-run": { type: "boolean" },
} as const;

async function run(args: readonly string[], io: Io): Promise<number> {
  const given = readArguments(args, OPTIONS, 1);
  const [dataDir] = given.positionals;
  const configPath = given.text("config");
  if ((dataDir === undefined) === (configPath === undefined)) throw new UsageError("name the data folder, or --config");
  if (configPath !== undefined) return runStored(given, configPath, io);
  if (dataDir === undefined || given.text("log") !== undefined || given.flag("apply"))
    throw new UsageError("--log and --apply belong to --config");
  const isDryRun = given.flag("dry-run");
  const { minimumIndex, bundles, bytes } = await prune({
    dataDir,
    beforeIndex: beforeIndexOf(given),
    policy: given.required("retention-policy"),
    isDeleting: given.flag("delete"),
    isDryRun,
  });
  const would = isDryRun ? "would be " : "";
  io.out(`minimum index ${would}${minimumIndex}; ${bundles} bundles of ${bytes} bytes ${would}deleted\n`);
  return EXIT.ok;
}

async function runStored(given: Arguments, configPath: string, io: Io): Promise<number> {
  if (given.flag("delete")) throw new UsageError("--delete belongs to a data folder");
  if (given.flag("apply") && given.flag("dry-run")) throw new UsageError("want --apply or --dry-run");
  const place = readLogPlace(configPath, given.text("log"));
  if (place.driver === "files") throw new UsageError(`the log is in a folder: name ${place.dataDir}`);
  const beforeIndex = beforeIndexOf(given);
  const isDryRun = !given.flag("apply");
  await pruneStored({ ...place, beforeIndex, policy: given.required("retention-policy"), isDryRun });
  io.out(isDryRun ? `minimum index would be ${beforeIndex}; --apply does it\n` : `minimum index ${beforeIndex}\n`);
  return EXIT.ok;
}

function beforeIndexOf(given: Arguments): bigint {
  const index = given.count("before-index");
  if (index === undefined) throw new UsageError("--before-index is required");
  return index;
}

/** Prunes a log. */
export const pruneCommand: Command = { name: "prune", summary: "stop showing a log's oldest entries", help: HELP, run };
