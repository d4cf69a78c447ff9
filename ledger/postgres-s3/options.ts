/** Whether the options of a ledger fit the storage driver `postgres-s3`; before anything is opened. */

import { FormatError } from "../../kernel/errors.ts";
import type { LedgerOptions } from "../options.ts";
import { type PostgresS3Storage, STORAGE_DEFAULTS, type StorageSecrets } from "./config.ts";
import type { ObjectStorePlace } from "./object-store.ts";

/** What a node is opened with, beside the options of every ledger. */
export interface NodeStorage {
  readonly config: PostgresS3Storage;
  readonly secrets: StorageSecrets;
}

/**
 * Checks that the configuration fits the driver.
 *
 * @throws {FormatError} ERR_CONFIG: no secrets
 */
export function checkStorageOptions({ config, storageSecrets }: LedgerOptions): void {
  if (config.storage?.driver !== "postgres-s3") return;
  if (storageSecrets === undefined) throw new FormatError("ERR_CONFIG", "storage: the secrets were not read");
}

/** The storage of checked options. @throws {FormatError} ERR_CONFIG */
export function storageOf({ config, storageSecrets: secrets }: LedgerOptions): NodeStorage {
  if (config.storage?.driver === "postgres-s3" && secrets !== undefined) return { config: config.storage, secrets };
  throw new FormatError("ERR_CONFIG", "storage: want the driver postgres-s3 and its secrets");
}

/** Where the objects of a log are. */
export function placeOf(config: PostgresS3Storage): ObjectStorePlace {
  return {
    endpoint: config.s3_endpoint,
    region: config.s3_region ?? STORAGE_DEFAULTS.region,
    bucket: config.s3_bucket,
    prefix: config.s3_prefix ?? STORAGE_DEFAULTS.prefix,
  };
}
