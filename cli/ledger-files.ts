/** The configuration file of a ledger, and what it names: keys and tokens. */

import { parseUtf8 } from "../kernel/bytes.ts";
import { isJsonObject, type JsonValue } from "../kernel/json/value.ts";
import { readShape } from "../kernel/shape.ts";
import { type LedgerConfig, type LedgersConfig, parseLedgerConfig, parseLedgersConfig } from "../ledger/config.ts";
import type { LedgerOptions } from "../ledger/options.ts";
import { credentialsShape } from "../ledger/postgres-s3/config.ts";
import { UsageError } from "./command.ts";
import { readBytes, readDatabaseUrl, readEnvelopeKey, readJsonFile, readNoteKey, readToken } from "./files.ts";
import type { Io } from "./io.ts";
import { makeLogger } from "./service.ts";

/** The configuration of one log or of several. */
export function readLedgerConfig(path: string): LedgerConfig | LedgersConfig {
  return readJsonFile(path, parseEither);
}

/** What a log is started with. */
export function ledgerOptionsOf(config: LedgerConfig, io: Io): LedgerOptions {
  const { scitt, operator_token_file: operatorToken } = config;
  return {
    config,
    logKeys: config.log_key_files.map(readNoteKey),
    operatorKey: readEnvelopeKey(config.operator_key_file),
    ...(scitt === undefined ? {} : { scittKey: readEnvelopeKey(scitt.key_file) }),
    ...(operatorToken === undefined ? {} : { operatorToken: readToken(operatorToken) }),
    ...readStorageSecrets(config),
    submitToken: readToken(config.submit_token_file),
    readerTokens: config.reader_token_files.map(readToken),
    logger: makeLogger("ledger", io),
  };
}

/** What the storage of a log names files for; nothing for a data folder. */
export function readStorageSecrets({ storage }: LedgerConfig): Pick<LedgerOptions, "storageSecrets"> {
  if (storage?.driver !== "postgres-s3") return {};
  const credentials = readJsonFile(storage.s3_credentials_file, (value) => readShape(credentialsShape, value, "s3"));
  return { storageSecrets: { databaseUrl: readDatabaseUrl(storage.database_url_file), credentials } };
}

/** One log of a configuration, and the prefix of its paths. @param name  needed if and only if there are several */
export function pickLog(
  config: LedgerConfig | LedgersConfig,
  name: string | undefined,
): { readonly config: LedgerConfig; readonly prefix: string } {
  if (!("logs" in config)) {
    if (name !== undefined) throw new UsageError("--log belongs to a configuration of several logs");
    return { config, prefix: "" };
  }
  const found = config.logs.find((log) => log.name === name);
  if (found === undefined) throw new UsageError("--log: want the name of one of the configured logs");
  const { name: prefix, ...rest } = found;
  return { config: { ...rest, listen: config.listen }, prefix: `/${prefix}` };
}

function parseEither(value: JsonValue): LedgerConfig | LedgersConfig {
  const readPolicy = (file: string): string => parseUtf8(readBytes(file));
  return isJsonObject(value) && value["logs"] !== undefined
    ? parseLedgersConfig(value, readPolicy)
    : parseLedgerConfig(value, readPolicy);
}
