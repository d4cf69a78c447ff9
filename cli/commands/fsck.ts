/** `countersign fsck`: the whole log of a data folder checked from disk. */

import { availableParallelism } from "node:os";
import { formatHex } from "../../kernel/hex.ts";
import { parseWitnessPolicy } from "../../kernel/witness-policy.ts";
import type { Fault } from "../../ledger/fsck/finding.ts";
import { checkDataFolder, type FsckOptions, type FsckReport } from "../../ledger/fsck/fsck.ts";
import { checkStoredLog } from "../../ledger/postgres-s3/fsck/fsck.ts";
import { rebuildIndex } from "../../ledger/recovery/rebuild-index.ts";
import { type Arguments, type Command, EXIT, readArguments, UsageError } from "../command.ts";
import { readText } from "../files.ts";
import type { Io } from "../io.ts";
import { type LogPlace, readLogPlace } from "../log-place.ts";
import { makeProgress } from "../progress.ts";

const HELP = `countersign fsck <data folder> [--origin <origin>] [--witness-policy <file>] [--json] [--repair-index]
       countersign fsck --config <ledger.json> [--log <name>] [--json] [--clear-halt]

Checks the whole log of a stopped ledger from disk: every frame of the write-ahead log, every bundle, tile, head,
archived record, index row, receipt and signature, and the published checkpoint. Every fault is reported with its
file, place and code; nothing is changed.

With --config the log is the one of a ledger's configuration. If that keeps it in PostgreSQL and an S3-compatible store, every
object and every row is checked, as the log was when the check began; nodes may run meanwhile.

  --config <file>          the configuration of the ledger; its witness policy counts if no other is given
  --log <name>             which log of a configuration of several
  --origin <origin>        the log must have this origin
  --witness-policy <file>  also check cosignatures and quorum of the published checkpoint (C2SP tlog-policy)
  --json                   print the report as JSON
  --repair-index           if every fault is the index's, rebuild it and check again
  --clear-halt             with --config: if an integrator halted the log and the check finds no fault, let it go on; then
                           start its nodes again (docs/operations.md)
  --threads <n>            threads that check signatures; the default is the number of cores

Exit: 0 clean; 1 faults; 3 the log cannot be checked.
`;

const OPTIONS = {
  config: { type: "string" },
  log: { type: "string" },
  origin: { type: "string" },
  "witness-policy": { type: "string" },
  threads: { type: "string" },
  json: { type: "boolean" },
  "repair-index": { type: "boolean" },
  "clear-halt": { type: "boolean" },
} as const;

async function run(args: readonly string[], io: Io): Promise<number> {
  const given = readArguments(args, OPTIONS, 1);
  const log = findLog(given);
  const policyPath = given.text("witness-policy");
  const policyText = policyPath === undefined ? policyOf(log) : readText(policyPath);
  const setting = {
    workers: readThreads(given.text("threads")),
    ...(policyText === undefined ? {} : { policy: parseWitnessPolicy(policyText) }),
  };
  const check = (): Promise<FsckReport> => {
    const progress = makeProgress("checking", io, () => performance.now());
    return checkLog(log, { ...setting, onProgress: progress.update }, given.flag("clear-halt")).finally(progress.end);
  };
  let report = await check();
  if (given.flag("repair-index") && log.driver === "files" && isOfIndexAlone(report)) {
    await rebuildIndex({ dataDir: log.dataDir, isDryRun: false });
    io.err("countersign fsck: the index was rebuilt; checking again\n");
    report = await check();
  }
  io.out(given.flag("json") ? `${JSON.stringify(jsonOf(report), null, 2)}\n` : textOf(report));
  return report.findings.count === 0 ? EXIT.ok : EXIT.failed;
}

/** Where the log is that is to be checked: of a folder that was named, its genesis entry says the rest. */
type CheckedPlace = LogPlace | { readonly driver: "files"; readonly dataDir: string; readonly origin?: string };

function findLog(given: Arguments): CheckedPlace {
  const [dataDir] = given.positionals;
  const [configPath, name, origin] = [given.text("config"), given.text("log"), given.text("origin")];
  if ((dataDir === undefined) === (configPath === undefined)) throw new UsageError("name the data folder, or --config");
  const named = origin === undefined ? {} : { origin };
  if (configPath === undefined && given.flag("clear-halt")) throw new UsageError("--clear-halt belongs to --config");
  if (configPath === undefined) {
    if (dataDir === undefined || name !== undefined) throw new UsageError("--log belongs to --config");
    return { driver: "files", dataDir, ...named };
  }
  const place = readLogPlace(configPath, name);
  if (place.driver === "postgres-s3" && given.flag("repair-index"))
    throw new UsageError("--repair-index belongs to a data folder");
  if (place.driver === "files" && given.flag("clear-halt"))
    throw new UsageError("a log in a folder has no halt: start it, and it is judged anew");
  return { ...place, ...named };
}

function policyOf(log: CheckedPlace): string | undefined {
  return "policyText" in log ? log.policyText : undefined;
}

function checkLog(
  log: CheckedPlace,
  setting: Omit<FsckOptions, "dataDir" | "origin" | "claims">,
  isClearing: boolean,
): Promise<FsckReport> {
  if (log.driver === "postgres-s3") {
    const { storage, secrets, origin } = log;
    return checkStoredLog({ ...setting, storage, secrets, origin, isClearing });
  }
  const { dataDir, origin } = log;
  return checkDataFolder({ ...setting, dataDir, ...(origin === undefined ? {} : { origin }) });
}

function readThreads(text: string | undefined): number {
  if (text === undefined) return availableParallelism();
  if (/^(?:0|[1-9][0-9]?)$/u.test(text)) return Number(text);
  throw new UsageError("--threads: want a number from 0 to 99");
}

function isOfIndexAlone({ findings }: FsckReport): boolean {
  return findings.count > 0 && findings.faults.every(({ path }) => path === "index" || path.startsWith("leaves/"));
}

function jsonOf({ findings, halt, ...report }: FsckReport): object {
  const { origin = null, size, root, receipts, tiles, bundles } = report;
  return {
    clean: findings.count === 0,
    origin,
    size: Number(size),
    root: root === undefined ? null : formatHex(root),
    receipts,
    tiles,
    bundles,
    fault_count: findings.count,
    faults: findings.faults.map(({ index, ...fault }) =>
      index === undefined ? fault : { ...fault, index: Number(index) },
    ),
    remarks: findings.remarks,
    ...(halt === undefined ? {} : { halt: { code: halt.code, at: halt.at, by: halt.by, cleared: halt.isCleared } }),
  };
}

function textOf(report: FsckReport): string {
  const { findings, origin = "unknown", size, receipts, tiles, bundles, halt } = report;
  const lines = [
    ...findings.faults.map(lineOf),
    ...(findings.count > findings.faults.length ? [`… ${findings.count - findings.faults.length} more faults`] : []),
    ...findings.remarks.map(({ path, message }) => `note   ${path}: ${message}`),
    `${origin}: ${size} entries, ${receipts} receipts, ${bundles} bundles, ${tiles} tiles`,
    ...(halt === undefined ? [] : [haltLine(halt)]),
    findings.count === 0 ? "clean" : `${findings.count} fault${findings.count === 1 ? "" : "s"}`,
  ];
  return `${lines.join("\n")}\n`;
}

function haltLine({ code, at, by, isCleared }: NonNullable<FsckReport["halt"]>): string {
  const what = `halted at ${at} with ${code} by ${by}`;
  return isCleared ? `was ${what}; the halt is cleared: start the nodes again` : `${what}: no node goes on`;
}

function lineOf({ path, code, offset, index, message }: Fault): string {
  const at = offset === undefined ? "" : ` byte ${offset}`;
  const of = index === undefined ? "" : ` entry ${index}`;
  return `FAULT  ${path}${at}${of}: ${code}: ${message}`;
}

/** Checks a data folder. */
export const fsckCommand: Command = {
  name: "fsck",
  summary: "check a whole log, on disk or in its stores",
  help: HELP,
  run,
};
