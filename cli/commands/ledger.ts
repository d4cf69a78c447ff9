/** `countersign ledger`: the log that gateways write to and that witnesses cosign. */

import { parseUtf8 } from "../../kernel/bytes.ts";
import { isJsonObject, type JsonValue } from "../../kernel/json/value.ts";
import { readShape } from "../../kernel/shape.ts";
import { type LedgerConfig, type LedgersConfig, parseLedgerConfig, parseLedgersConfig } from "../../ledger/config.ts";
import type { LedgerOptions, LedgersOptions } from "../../ledger/options.ts";
import { credentialsShape } from "../../ledger/postgres-s3/config.ts";
import { startLedger, startLedgers } from "../../ledger/start.ts";
import { type Command, readArguments } from "../command.ts";
import { readBytes, readDatabaseUrl, readEnvelopeKey, readJsonFile, readNoteKey, readToken } from "../files.ts";
import type { Io } from "../io.ts";
import { makeLogger, runService } from "../service.ts";

const HELP = `countersign ledger --config <file>

Runs a ledger: admits signed receipts of registered gateways, publishes witnessed checkpoints, tiles and log proofs.
An entry is durable before it is acknowledged. A file with "logs" runs several logs in one process. docs/ledger.md explains the configuration.
`;

async function run(args: readonly string[], io: Io): Promise<number> {
  const path = readArguments(args, { config: { type: "string" } }).required("config");
  const config = readJsonFile(path, parseEither);
  if ("logs" in config) {
    const options = severalOptions(config, io);
    return runService("ledger", () => startLedgers(options), io);
  }
  const options = optionsOf(config, io);
  return runService("ledger", () => startLedger(options), io);
}

function parseEither(value: JsonValue): LedgerConfig | LedgersConfig {
  const readPolicy = (file: string): string => parseUtf8(readBytes(file));
  return isJsonObject(value) && value["logs"] !== undefined
    ? parseLedgersConfig(value, readPolicy)
    : parseLedgerConfig(value, readPolicy);
}

function severalOptions({ listen, logs }: LedgersConfig, io: Io): LedgersOptions {
  const named = logs.map(({ name, ...config }) => ({ name, options: optionsOf({ listen, ...config }, io) }));
  return { listen, logs: named, logger: makeLogger("ledger", io) };
}

function optionsOf(config: LedgerConfig, io: Io): LedgerOptions {
  return {
    config,
    logKeys: config.log_key_files.map(readNoteKey),
    operatorKey: readEnvelopeKey(config.operator_key_file),
    ...(config.scitt === undefined ? {} : { scittKey: readEnvelopeKey(config.scitt.key_file) }),
    ...readStorageSecrets(config),
    submitToken: readToken(config.submit_token_file),
    readerTokens: config.reader_token_files.map(readToken),
    logger: makeLogger("ledger", io),
  };
}

function readStorageSecrets({ storage }: LedgerConfig): Pick<LedgerOptions, "storageSecrets"> {
  if (storage?.driver !== "postgres-s3") return {};
  const credentials = readJsonFile(storage.s3_credentials_file, (value) => readShape(credentialsShape, value, "s3"));
  return { storageSecrets: { databaseUrl: readDatabaseUrl(storage.database_url_file), credentials } };
}

/** Runs a ledger. */
export const ledgerCommand: Command = { name: "ledger", summary: "run a ledger", help: HELP, run };
