/** `countersign ledger`: the log that gateways write to and that witnesses cosign; with a word behind it, what its operator says of it. */

import type { LedgersConfig } from "../../ledger/config.ts";
import type { LedgersOptions } from "../../ledger/options.ts";
import { startLedger, startLedgers } from "../../ledger/start.ts";
import { type Command, readArguments, UsageError } from "../command.ts";
import type { Io } from "../io.ts";
import { ledgerOptionsOf, readLedgerConfig } from "../ledger-files.ts";
import { makeLogger, runService } from "../service.ts";
import { isStatementWord, STATEMENT_OPTIONS, stateLedger } from "../state-ledger.ts";

const HELP = `countersign ledger --config <file>
countersign ledger rotate-key --config <file> [--dry-run]
countersign ledger retire-key --config <file> [--dry-run]
countersign ledger freeze --config <file> --reason <text> [successor] [--out <file>] [--dry-run]
countersign ledger decommission --config <file> --out <file> [--reason <text>] [successor] [--dry-run]
countersign ledger end-stream --config <file> --stream <id> --reason <text> [--dry-run]
countersign ledger link --config <file> --predecessor <file> --predecessor-policy <file> [--dry-run]

Runs a ledger: admits signed receipts of registered gateways, publishes witnessed checkpoints, tiles and log proofs.
An entry is durable before it is acknowledged. A file with "logs" runs several logs in one process. docs/ledger.md explains the configuration.

With a word the log says something about itself (docs/formats/log-statement.md): through the running ledger, with the operator
token, or on the folder of a stopped one.

  rotate-key    the pair in log_key_files that the log never had signs from now on, beside the old one
  retire-key    the old pair signs no more, once witnesses saw a checkpoint of both
  freeze        the log ends; its reads go on. No way leads back
  decommission  the same, without a promise of reads; of a log that has ended, without --reason, only the file is written
  end-stream    a gateway's keys are decommissioned: nothing of its stream is admitted any more
  link          names the final tree of the log before this one, from its status document

  --log <name>  which one, where the configuration has several
  --successor <origin>, --successor-key <vkey> ..., --successor-url <url>   the log that goes on
  --out <file>  the status document, once it is witnessed: "countersign log-status" checks it without the operator
  --wait-ms <n> how long to wait for that; default 30000
  --dry-run     print the statement; change nothing

Exit: 0 done; 2 done, and not witnessed in time; 3 refused, or unusable.
`;

async function run(args: readonly string[], io: Io): Promise<number> {
  const given = readArguments(args, { config: { type: "string" }, ...STATEMENT_OPTIONS }, 1);
  const [word] = given.positionals;
  const config = readLedgerConfig(given.required("config"));
  if (word !== undefined) {
    if (!isStatementWord(word)) throw new UsageError(`unexpected argument "${word}"`);
    return stateLedger(word, config, given, io);
  }
  for (const name of Object.keys(STATEMENT_OPTIONS)) {
    if (given.flag(name) || given.texts(name).length > 0 || given.text(name) !== undefined) {
      throw new UsageError(`--${name} belongs to a word like "freeze"`);
    }
  }
  if ("logs" in config) {
    const options = severalOptions(config, io);
    return runService("ledger", () => startLedgers(options), io);
  }
  const options = ledgerOptionsOf(config, io);
  return runService("ledger", () => startLedger(options), io);
}

function severalOptions({ listen, logs }: LedgersConfig, io: Io): LedgersOptions {
  const named = logs.map(({ name, ...config }) => ({ name, options: ledgerOptionsOf({ listen, ...config }, io) }));
  return { listen, logs: named, logger: makeLogger("ledger", io) };
}

/** Runs a ledger. */
export const ledgerCommand: Command = { name: "ledger", summary: "run a ledger", help: HELP, run };
