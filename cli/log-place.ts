/** Where the log of a ledger's configuration is kept, for commands that read it without running it. */

import type { PostgresS3Storage, StorageSecrets } from "../ledger/postgres-s3/config.ts";
import { pickLog, readLedgerConfig, readStorageSecrets } from "./ledger-files.ts";

/** A log and its place. */
export type LogPlace = {
  readonly origin: string;
  readonly policyText: string;
} & (
  | { readonly driver: "files"; readonly dataDir: string }
  | { readonly driver: "postgres-s3"; readonly storage: PostgresS3Storage; readonly secrets: StorageSecrets }
);

/** Reads a configuration. @param name  of the log, needed if and only if there are several */
export function readLogPlace(path: string, name: string | undefined): LogPlace {
  const { config } = pickLog(readLedgerConfig(path), name);
  const common = { origin: config.origin, policyText: config.witness_policy };
  const { storageSecrets: secrets } = readStorageSecrets(config);
  if (config.storage?.driver !== "postgres-s3" || secrets === undefined) {
    return { ...common, driver: "files", dataDir: config.data_dir };
  }
  return { ...common, driver: "postgres-s3", storage: config.storage, secrets };
}
