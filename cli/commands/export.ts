/** `countersign export`: a log in one file. */

import { stat } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { StoreError } from "../../kernel/errors.ts";
import { exportLog, type LogSource, openFolderSource, openMirrorSource } from "../../ledger/archive/export-log.ts";
import { makeUpstream } from "../../ledger/mirror/upstream.ts";
import { openStoredSource } from "../../ledger/postgres-s3/log-source.ts";
import { type Arguments, type Command, EXIT, readArguments, UsageError } from "../command.ts";
import { readToken } from "../files.ts";
import type { Io } from "../io.ts";
import { readLogPlace } from "../log-place.ts";
import { makeProgress } from "../progress.ts";
import { writeParts } from "../write-parts.ts";

const EXPORT_HELP = `countersign export <data folder | mirror folder | url> --out <file> [--from-index <n>] [--to-index <n>]
       countersign export --config <ledger.json> [--log <name>] --out <file> [--from-index <n>] [--to-index <n>]

Writes a log as its published checkpoint states it into one tar file with everything needed to verify and to serve it
(docs/formats/log-archive.md). Everything is verified before it is written; the same log gives the same bytes.

With --config the log is the one of a ledger's configuration, in its data folder (the ledger must be stopped) or in PostgreSQL and an
S3-compatible store (nodes may run).

  --config <file>       the configuration of the ledger
  --log <name>          which log of a configuration of several
  --out <file>          the archive; it must not exist
  --from-index <n>      first entry; whole bundles are taken
  --to-index <n>        entry behind the last one
  --token-file <file>   bearer token for entry bundles of a url

Exit: 0 done; 3 the log cannot be read, or does not hold what it signed.
`;

const EXPORT_OPTIONS = {
  config: { type: "string" },
  log: { type: "string" },
  out: { type: "string" },
  "from-index": { type: "string" },
  "to-index": { type: "string" },
  "token-file": { type: "string" },
} as const;

async function runExport(args: readonly string[], io: Io): Promise<number> {
  const given = readArguments(args, EXPORT_OPTIONS, 1);
  const out = given.required("out");
  const [fromIndex, toIndex] = [given.count("from-index"), given.count("to-index")];
  const range = { ...(fromIndex === undefined ? {} : { fromIndex }), ...(toIndex === undefined ? {} : { toIndex }) };
  const source = await openGiven(given);
  const progress = makeProgress("exporting", io, () => performance.now());
  try {
    const bytes = await writeParts(out, exportLog(source, range, progress.update));
    progress.end();
    io.out(`${bytes} bytes\n`);
    return EXIT.ok;
  } finally {
    progress.end();
    await source.close();
  }
}

/** Opens what is named: a folder, a url, or the log of a configuration. */
function openGiven(given: Arguments): Promise<LogSource> {
  const [from] = given.positionals;
  const [config, name, tokenFile] = [given.text("config"), given.text("log"), given.text("token-file")];
  if ((from === undefined) === (config === undefined))
    throw new UsageError("name the folder or the url of the log, or --config");
  if (from !== undefined) {
    if (name !== undefined) throw new UsageError("--log belongs to --config");
    return openSource(from, tokenFile);
  }
  if (config === undefined || tokenFile !== undefined) throw new UsageError("--token-file belongs to a url");
  const place = readLogPlace(config, name);
  return place.driver === "files" ? openFolderSource(place.dataDir) : openStoredSource(place);
}

async function openSource(from: string, tokenFile: string | undefined): Promise<LogSource> {
  if (!/^https?:\/\//u.test(from)) {
    const folder = await stat(from).catch(() => undefined);
    if (folder?.isDirectory() !== true) throw new StoreError("ERR_FILE_READ", `cannot read the folder ${from}`);
    const isLedger = await stat(join(from, "wal")).catch(() => undefined);
    return isLedger === undefined ? openMirrorSource(from) : openFolderSource(from);
  }
  const token = tokenFile === undefined ? {} : { token: readToken(tokenFile) };
  const pause = (ms: number): Promise<void> => sleep(ms);
  const upstream = makeUpstream({ url: from, fetch, timeoutMs: 30_000, attempts: 5, sleep: pause, ...token });
  return { checkpoint: upstream.checkpoint, read: upstream.tile, close: () => Promise.resolve() };
}

/** Writes a log into a file. */
export const exportCommand: Command = {
  name: "export",
  summary: "write a log into one file",
  help: EXPORT_HELP,
  run: runExport,
};
