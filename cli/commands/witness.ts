/** `countersign witness`: cosigns the checkpoints of the logs it knows; `recover` decides about a state that is too old. */

import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { parseUtf8 } from "../../kernel/bytes.ts";
import { joinLogs, parseLogList, parseWitnessConfig, type WitnessConfig } from "../../witness/config.ts";
import { recoverWitness } from "../../witness/recover.ts";
import { makeCosigners } from "../../witness/signing.ts";
import { type RunningWitness, startWitness } from "../../witness/start.ts";
import type { WitnessedLog } from "../../witness/witness.ts";
import { type Arguments, type Command, EXIT, readArguments, UsageError } from "../command.ts";
import { readBytes, readJsonFile, readNoteKey, readToken } from "../files.ts";
import type { Io } from "../io.ts";
import { makeLogger, runService } from "../service.ts";

const HELP = `countersign witness --config <file>
countersign witness recover --config <file> --reason <text> [--checkpoint <file> ...] [--accept <origin> ... | --accept-all]

Runs a witness (C2SP tlog-witness): POST /add-checkpoint, POST /sign-subtree, GET /<hex SHA-256(origin)>/checkpoint.
State is durable before a cosignature is answered. SIGHUP reads the list of logs again; a bad one is refused and changes
nothing. docs/witness.md explains the configuration.

recover is for a data folder that was put back from an older copy (ERR_WITNESS_ROLLBACK), while the witness does not run:

  --checkpoint    a checkpoint that carries this witness's line, from whoever published it: it becomes the state of its log
  --accept        the recorded state of this log is accepted as it is
  --accept-all    that of every log is. The witness may then cosign a second history of a log: say so only if no newer
                  cosignature ever left it
  --reason        why, in one line; it is kept in the journal
`;

const OPTIONS = {
  config: { type: "string" },
  reason: { type: "string" },
  checkpoint: { type: "string", multiple: true },
  accept: { type: "string", multiple: true },
  "accept-all": { type: "boolean" },
} as const;

async function run(args: readonly string[], io: Io): Promise<number> {
  const given = readArguments(args, OPTIONS, 1);
  const config = readJsonFile(given.required("config"), parseWitnessConfig);
  const [word] = given.positionals;
  if (word === "recover") return recover(given, config, io);
  if (word !== undefined) throw new UsageError(`unexpected argument "${word}"`);
  return runService("witness", () => start(config, io), io);
}

async function start(config: WitnessConfig, io: Io): Promise<RunningWitness> {
  const { operator_token_file: tokenFile, key_files: keyFiles } = config;
  const witness = await startWitness({
    config,
    keys: keyFiles.map(readNoteKey),
    logger: makeLogger("witness", io),
    readLogs: () => readLogs(config),
    ...(tokenFile === undefined ? {} : { operatorToken: readToken(tokenFile) }),
  });
  // What is wrong with the list was logged.
  const reload = (): void => void witness.reload().catch(() => undefined);
  process.on("SIGHUP", reload);
  return {
    ...witness,
    close: () => {
      process.off("SIGHUP", reload);
      return witness.close();
    },
  };
}

/** The logs that `logs_path` names: one file, or every `*.json` of a folder in the order of names. */
function readLogs({ logs_path: path }: WitnessConfig): readonly WitnessedLog[] {
  if (path === undefined) return [];
  const isFolder = statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
  const names = isFolder ? readdirSync(path).filter((name) => name.endsWith(".json")) : [];
  const files = isFolder ? names.sort().map((name) => join(path, name)) : [path];
  return files.flatMap((file) => readJsonFile(file, parseLogList));
}

async function recover(given: Arguments, config: WitnessConfig, io: Io): Promise<number> {
  const recovered = await recoverWitness({
    dataDir: config.data_dir,
    fenceFile: config.fence_file,
    logs: joinLogs([config.logs ?? [], readLogs(config)]),
    cosigners: makeCosigners(config.key_files.map(readNoteKey)),
    recovery: {
      checkpoints: given.texts("checkpoint").map((path) => parseUtf8(readBytes(path))),
      accept: given.flag("accept-all") ? "all" : given.texts("accept"),
      reason: given.required("reason"),
    },
  });
  const { why, adopted, isCleared } = recovered;
  io.out(why === undefined ? "the state was not known to be old\n" : `the state was old: ${why}\n`);
  for (const { origin, size } of adopted)
    io.out(`${origin}: size ${size}, from a checkpoint with this witness's line\n`);
  io.out(isCleared ? "no log is refused any more\n" : "all other logs stay refused\n");
  return EXIT.ok;
}

/** Runs a witness. */
export const witnessCommand: Command = { name: "witness", summary: "run a witness", help: HELP, run };
