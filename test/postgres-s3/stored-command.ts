/** The configuration file of a stored log, for the commands that take one. */

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { formatVerifierKey } from "../../kernel/note/verifier-key.ts";
import { LEDGER_KEYS, LEDGER_ORIGIN, NO_WITNESSES } from "../support/ledger-service.ts";
import { nodeStorage } from "../support/postgres-s3-log.ts";
import { S3_CREDENTIALS, type S3Server } from "../support/s3-server.ts";
import { startStoreServers } from "../support/store-servers.ts";
import { StoredLog } from "./stored-log.ts";

/** Files of a folder that the caller removes. */
export interface StoredCommand {
  readonly folder: string;
  /** Of a configuration of several logs, in which this one is `a`. */
  readonly config: string;
  /** Names the keys of the log, and wants no witness. */
  readonly policy: string;
}

/** Writes what an operator has on disk. @param origin  which log is configured */
export async function writeStoredCommand(
  log: StoredLog,
  s3: S3Server,
  kind: "raw" | "receipts",
  origin: string = LEDGER_ORIGIN,
): Promise<StoredCommand> {
  const folder = await mkdtemp(join(tmpdir(), "countersign-stored-"));
  const at = (name: string): string => join(folder, name);
  const { accessKeyId: access_key_id, secretAccessKey: secret_access_key } = S3_CREDENTIALS;
  await writeFile(at("url"), `${log.url}\n`);
  await writeFile(at("s3.json"), JSON.stringify({ access_key_id, secret_access_key }));
  const keys = LEDGER_KEYS.map(({ verifierKey }) => `log ${formatVerifierKey(verifierKey)}\n`).join("");
  await writeFile(at("policy.txt"), `${keys}${NO_WITNESSES}`);
  const config = {
    name: "a",
    storage: nodeStorage(s3, {
      s3_prefix: log.prefix,
      database_url_file: at("url"),
      s3_credentials_file: at("s3.json"),
    }),
    origin,
    log_kind: kind,
    log_key_files: ["a", "b"],
    operator_key_file: "operator.key",
    witness_policy: NO_WITNESSES,
    admission: { software_evidence: "allow" },
    submit_token_file: "submit",
    reader_token_files: [],
    readers: "token",
  };
  await writeFile(at("ledger.json"), JSON.stringify({ listen: {}, logs: [config] }));
  return { folder, config: at("ledger.json"), policy: at("policy.txt") };
}

/** A stored log on servers of its own, and what an operator has of it on disk. */
export interface CommandBench {
  readonly s3: S3Server;
  readonly log: StoredLog;
  readonly files: StoredCommand;
  /** Ends the servers, and removes what they and the operator have on disk. */
  readonly close: () => Promise<void>;
}

/** Starts a PostgreSQL and an S3-compatible server for one log of which nothing is stored yet. */
export async function startCommandBench(kind: "raw" | "receipts"): Promise<CommandBench> {
  const { postgres, s3, remove } = await startStoreServers();
  const log = new StoredLog(await postgres.newDatabase(), s3);
  const files = await writeStoredCommand(log, s3, kind);
  const close = async (): Promise<void> => {
    await log.database.close();
    await remove();
    await rm(files.folder, { recursive: true });
  };
  return { s3, log, files, close };
}
