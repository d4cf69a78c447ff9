/** Nodes of logs on `postgres-s3`, over a database and a store that tests share: each log has an origin and a prefix of its own. */

import type { RunningService } from "../../kernel/service/service.ts";
import type { LedgerConfig } from "../../ledger/config.ts";
import type { PostgresS3Storage } from "../../ledger/postgres-s3/config.ts";
import { startLedger } from "../../ledger/start.ts";
import { type LogLine, ledgerOptions, type TestLedger, type TestLedgerOptions } from "./ledger-service.ts";
import type { PostgresServer } from "./postgres-server.ts";
import { S3_CREDENTIALS, type S3Server } from "./s3-server.ts";

/** Short, so that a takeover takes as long. */
export const LEASE_MS = 1500;

/** A node that listens. */
export type TestNode = RunningService & Pick<TestLedger, "lines" | "get" | "post">;

/** What differs from node to node. */
export interface NodeOptions {
  readonly config?: Partial<LedgerConfig>;
  readonly storage?: Partial<PostgresS3Storage>;
  /** How the store is reached. */
  readonly fetch?: typeof fetch;
  /** Keys, clock and the like. */
  readonly ledger?: TestLedgerOptions;
}

/** Configuration of the storage of a node. */
export function nodeStorage(s3: S3Server, changes: Partial<PostgresS3Storage> = {}): PostgresS3Storage {
  return {
    driver: "postgres-s3",
    database_url_file: "database-url",
    s3_endpoint: s3.place.endpoint,
    s3_bucket: s3.place.bucket,
    s3_credentials_file: "s3-credentials",
    lease_ms: LEASE_MS,
    ...changes,
  };
}

/** Starts a node. */
export async function startNode(
  postgres: Pick<PostgresServer, "url">,
  s3: S3Server,
  { config = {}, storage = {}, fetch: send, ledger = {} }: NodeOptions = {},
): Promise<TestNode> {
  const lines: LogLine[] = [];
  const at =
    (level: LogLine["level"]) =>
    (fields: object, message: string): void =>
      void lines.push({ level, fields, message });
  const logger = { info: at("info"), warn: at("warn"), error: at("error") };
  const options = ledgerOptions("", logger, { ...ledger, config: { storage: nodeStorage(s3, storage), ...config } });
  const service = await startLedger({
    ...options,
    storageSecrets: {
      databaseUrl: postgres.url,
      credentials: S3_CREDENTIALS,
      ...(send === undefined ? {} : { fetch: send }),
    },
  });
  const { url } = service;
  return {
    ...service,
    lines,
    get: (path, headers = {}) => fetch(`${url}${path}`, { headers, redirect: "manual" }),
    post: (path, body, headers = {}) => fetch(`${url}${path}`, { method: "POST", body, headers, redirect: "manual" }),
  };
}
