/** `countersign prune`: raises the minimum index of a log under its retention policy. */

import { parseDecimal } from "../../kernel/decimal.ts";
import { prune } from "../../ledger/retention/prune.ts";
import { type Command, EXIT, readArguments, UsageError } from "../command.ts";
import type { Io } from "../io.ts";

const HELP = `countersign prune <data folder> --before-index <n> --retention-policy <text> [--delete] [--dry-run]

Raises the minimum index of a stopped log (C2SP tlog-tiles): full entry bundles that end at or below it are refused from
the next start on, and /metadata publishes index and policy. Hash tiles stay: every proof stays obtainable.

  --before-index <n>         the new minimum index; at most the published size; it never goes back
  --retention-policy <text>  where the published retention policy stands, or what it is called
  --delete                   also delete those bundles, of a raw log; without it they are only refused
  --dry-run                  say what would be done; change nothing

Exit: 0 done; 3 not allowed, or the folder is unusable.
`;

const OPTIONS = {
  "before-index": { type: "string" },
  "retention-policy": { type: "string" },
  delete: { type: "boolean" },
  "dry-run": { type: "boolean" },
} as const;

async function run(args: readonly string[], io: Io): Promise<number> {
  const given = readArguments(args, OPTIONS, 1);
  const [dataDir] = given.positionals;
  if (dataDir === undefined) throw new UsageError("name the data folder");
  const isDryRun = given.flag("dry-run");
  const { minimumIndex, bundles, bytes } = await prune({
    dataDir,
    beforeIndex: parseDecimal(given.required("before-index")),
    policy: given.required("retention-policy"),
    isDeleting: given.flag("delete"),
    isDryRun,
  });
  const would = isDryRun ? "would be " : "";
  io.out(`minimum index ${would}${minimumIndex}; ${bundles} bundles of ${bytes} bytes ${would}deleted\n`);
  return EXIT.ok;
}

/** Prunes a log. */
export const pruneCommand: Command = { name: "prune", summary: "stop showing a log's oldest entries", help: HELP, run };
