/** `countersign export`: a log in one file. */

import { stat } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseDecimal } from "../../kernel/decimal.ts";
import { exportLog, type LogSource, openFolderSource, openMirrorSource } from "../../ledger/archive/export-log.ts";
import { makeUpstream } from "../../ledger/mirror/upstream.ts";
import { type Arguments, type Command, EXIT, readArguments, UsageError } from "../command.ts";
import { readToken } from "../files.ts";
import type { Io } from "../io.ts";
import { makeProgress } from "../progress.ts";
import { writeParts } from "../write-parts.ts";

const EXPORT_HELP = `countersign export <data folder | mirror folder | url> --out <file> [--from-index <n>] [--to-index <n>]

Writes a log as its published checkpoint states it into one tar file with everything needed to verify and to serve it
(docs/formats/log-archive.md). Everything is verified before it is written; the same log gives the same bytes.

  --out <file>          the archive; it must not exist
  --from-index <n>      first entry; whole bundles are taken
  --to-index <n>        entry behind the last one
  --token-file <file>   bearer token for entry bundles of a url

Exit: 0 done; 3 the log cannot be read, or does not hold what it signed.
`;

const EXPORT_OPTIONS = {
  out: { type: "string" },
  "from-index": { type: "string" },
  "to-index": { type: "string" },
  "token-file": { type: "string" },
} as const;

async function runExport(args: readonly string[], io: Io): Promise<number> {
  const given = readArguments(args, EXPORT_OPTIONS, 1);
  const [from] = given.positionals;
  if (from === undefined) throw new UsageError("name the folder or the url of the log");
  const out = given.required("out");
  const [fromIndex, toIndex] = [indexOf(given, "from-index"), indexOf(given, "to-index")];
  const range = { ...(fromIndex === undefined ? {} : { fromIndex }), ...(toIndex === undefined ? {} : { toIndex }) };
  const source = await openSource(from, given.text("token-file"));
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

function indexOf(given: Arguments, name: string): bigint | undefined {
  const text = given.text(name);
  return text === undefined ? undefined : parseDecimal(text);
}

async function openSource(from: string, tokenFile: string | undefined): Promise<LogSource> {
  if (!/^https?:\/\//u.test(from)) {
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
