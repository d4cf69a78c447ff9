/** `countersign ledger`: the log that gateways write to and that witnesses cosign. */

import { parseUtf8 } from "../../kernel/bytes.ts";
import { parseLedgerConfig } from "../../ledger/config.ts";
import type { LedgerOptions } from "../../ledger/options.ts";
import { startLedger } from "../../ledger/start.ts";
import { type Command, readArguments } from "../command.ts";
import { readBytes, readEnvelopeKey, readJsonFile, readNoteKey, readToken } from "../files.ts";
import type { Io } from "../io.ts";
import { makeLogger, runService } from "../service.ts";

const HELP = `countersign ledger --config <file>

Runs a ledger: admits signed receipts of registered gateways, publishes witnessed checkpoints, tiles and log proofs.
An entry is durable before it is acknowledged. docs/ledger.md explains the configuration.
`;

async function run(args: readonly string[], io: Io): Promise<number> {
  const path = readArguments(args, { config: { type: "string" } }).required("config");
  const options = readOptions(path, io);
  return runService("ledger", () => startLedger(options), io);
}

function readOptions(path: string, io: Io): LedgerOptions {
  const config = readJsonFile(path, (value) => parseLedgerConfig(value, (file) => parseUtf8(readBytes(file))));
  return {
    config,
    logKeys: config.log_key_files.map(readNoteKey),
    operatorKey: readEnvelopeKey(config.operator_key_file),
    ...(config.scitt === undefined ? {} : { scittKey: readEnvelopeKey(config.scitt.key_file) }),
    submitToken: readToken(config.submit_token_file),
    readerTokens: config.reader_token_files.map(readToken),
    logger: makeLogger("ledger", io),
  };
}

/** Runs a ledger. */
export const ledgerCommand: Command = { name: "ledger", summary: "run a ledger", help: HELP, run };
