/** Configuration of a ledger: one JSON file, every member checked, unknown ones refused (docs/ledger.md). */

import { FormatError } from "../kernel/errors.ts";
import { type AdmissionPolicy, admissionPolicyShape, type LogKind } from "../kernel/genesis.ts";
import type { JsonValue } from "../kernel/json/value.ts";
import { originShape } from "../kernel/receipt/stream-open.ts";
import { type Listen, listenShape } from "../kernel/service/listen.ts";
import {
  array,
  boolean,
  integer,
  literal,
  type Members,
  mapped,
  object,
  optional,
  readShape,
  type Shape,
  string,
} from "../kernel/shape.ts";
import { MAX_POLICY_CHARACTERS, parseWitnessPolicy } from "../kernel/witness-policy.ts";
import { type QuotaConfig, quotaConfigShape } from "./admission/quota.ts";
import type { BacklogLimits } from "./checks/backlog.ts";
import { type ShardConfig, shardConfigShape } from "./lifecycle/shard.ts";
import { type MirrorConfig, mirrorsShape } from "./mirror/push-config.ts";
import { type StorageConfig, storageShape } from "./postgres-s3/config.ts";
import { type ScittConfig, scittConfigShape } from "./scitt/config.ts";
import { type TraceConfig, traceConfigShape } from "./trace/config.ts";

/** The configuration file of a ledger. `*_file` are paths, read by the command line. */
export type LedgerConfig = {
  readonly listen: Listen;
  /** Folder of the driver `files`; empty with another driver, which keeps nothing on this machine. */
  readonly data_dir: string;
  /** Default: the driver `files`. */
  readonly storage?: StorageConfig;
  /** The log's identity line: a schema-less URL. */
  readonly origin: string;
  readonly log_kind: LogKind;
  /** The log's Ed25519 (0x01) and ML-DSA-44 (0x06) note keys; beside them those that a rotation takes. */
  readonly log_key_files: readonly string[];
  /** Envelope key that signs the genesis entry. */
  readonly operator_key_file: string;
  /** C2SP tlog-policy text: the witnesses with their addresses, and the quorum. */
  readonly witness_policy: string;
  readonly admission: AdmissionPolicy;
  readonly submit_token_file: string;
  readonly reader_token_files: readonly string[];
  /** Who reads entry bundles: holders of a reader token, or everybody. */
  readonly readers: "token" | "public";
  /** Raw logs only: POST /add without a token. Default false. */
  readonly open_add?: boolean;
  /** Time between signed checkpoints of a growing log. Default 200. */
  readonly checkpoint_ms?: number;
  /** Time between rounds of cosigning. Default 1000. */
  readonly witness_ms?: number;
  /** Bound of one request to a witness. Default 2000. */
  readonly witness_timeout_ms?: number;
  /** Publish what only the log signed once a quorum has been missing for so long. Default: never. */
  readonly publish_without_quorum_after_seconds?: number;
  /** Time that a promise gives the log until a quorum has seen an entry. Default 3600. */
  readonly promise_seconds?: number;
  /** Receipts of segments that may wait to be checked in the background. Default 1,048,576 entries or 2 GiB. */
  readonly check_backlog?: BacklogLimits;
  /** Most receipts and bytes a second, of each stream and of the log. Default: none. */
  readonly quota?: QuotaConfig;
  /** Logs of receipts only: registers COSE statements and answers with COSE receipts. Default: it does not. */
  readonly scitt?: ScittConfig;
  /** Logs of receipts only: takes trust records and revocations. Default: it does not. */
  readonly trace?: TraceConfig;
  /** Mirrors that the log is pushed to. Default: none. */
  readonly mirrors?: readonly MirrorConfig[];
  /** Token of the operator's requests; without it there are none. */
  readonly operator_token_file?: string;
  /** The time that the log takes entries in. Default: until it is closed. */
  readonly shard?: ShardConfig;
  /** Origin of the log that this one goes on from. */
  readonly predecessor?: string;
};

/** Defaults of the optional members. */
export const LEDGER_DEFAULTS = {
  host: "127.0.0.1",
  port: 4200,
  checkpointMs: 200,
  witnessMs: 1000,
  witnessTimeoutMs: 2000,
  promiseSeconds: 3600,
  checkBacklog: { entries: 1_048_576, bytes: 2_147_483_648 },
} as const;

const path = string({ pattern: /^[^\0]+$/, maxLength: 4096, description: "a path" });

/** The file as it is written: the policy as text, or the path of a file that holds it. */
type ConfigFile = Omit<LedgerConfig, "witness_policy" | "data_dir"> & PolicyMembers & { readonly data_dir?: string };

type PolicyMembers = {
  readonly witness_policy?: string;
  readonly witness_policy_file?: string;
};

const logMembers: Members<Omit<ConfigFile, "listen">> = {
  data_dir: optional(path),
  storage: optional(storageShape),
  origin: originShape,
  log_kind: literal("receipts", "raw"),
  log_key_files: array(path, { min: 2, max: 16 }),
  operator_key_file: path,
  witness_policy: optional(mapped(string({ maxLength: MAX_POLICY_CHARACTERS }), checkPolicy)),
  witness_policy_file: optional(path),
  admission: admissionPolicyShape,
  submit_token_file: path,
  reader_token_files: array(path, { max: 1024 }),
  readers: literal("token", "public"),
  open_add: optional(boolean()),
  checkpoint_ms: optional(integer({ min: 20, max: 60_000 })),
  witness_ms: optional(integer({ min: 20, max: 3_600_000 })),
  witness_timeout_ms: optional(integer({ min: 10, max: 60_000 })),
  publish_without_quorum_after_seconds: optional(integer({ min: 1, max: 31_536_000 })),
  promise_seconds: optional(integer({ min: 60, max: 604_800 })),
  check_backlog: optional(
    object<BacklogLimits>({ entries: integer({ min: 1, max: 1e9 }), bytes: integer({ min: 1, max: 1e12 }) }),
  ),
  quota: optional(quotaConfigShape),
  scitt: optional(scittConfigShape),
  trace: optional(traceConfigShape),
  mirrors: optional(mirrorsShape),
  operator_token_file: optional(path),
  shard: optional(shardConfigShape),
  predecessor: optional(originShape),
};

const shape: Shape<ConfigFile> = object<ConfigFile>({ listen: listenShape, ...logMembers });

/** The configuration file of a ledger with several logs. */
export type LedgersConfig = {
  readonly listen: Listen;
  /** Each log as it would be configured alone, without `listen`, under a name. */
  readonly logs: readonly NamedLogConfig[];
};

/** One of several logs. */
export type NamedLogConfig = Omit<LedgerConfig, "listen"> & {
  /** First segment of the paths of its URLs. */
  readonly name: string;
};

/** Most logs of one process. Each holds buffers of its own and a thread that signs. */
const MAX_LOGS = 256;

/** One of several logs as it is written. */
type NamedLogFile = Omit<ConfigFile, "listen"> & { readonly name: string };

type LedgersFile = { readonly listen: Listen; readonly logs: readonly NamedLogFile[] };

const severalShape: Shape<LedgersFile> = object<LedgersFile>({
  listen: listenShape,
  logs: array(
    object<NamedLogFile>({
      name: string({ pattern: /^[a-z0-9][a-z0-9-]{0,63}$/, maxLength: 64, description: "a name like `team-a`" }),
      ...logMembers,
    }),
    { min: 1, max: MAX_LOGS },
  ),
});

/**
 * Reads the configuration of a ledger.
 *
 * @param readPolicy  text of the file that `witness_policy_file` names
 * @throws {FormatError} ERR_SHAPE, naming the member; what is wrong with the policy of the file
 */
export function parseLedgerConfig(value: JsonValue, readPolicy: (path: string) => string = refuseFile): LedgerConfig {
  return withPolicy(withFolder(readShape(shape, value, "ledger"), "ledger"), "ledger", readPolicy);
}

/** The driver `files` needs a folder; another one takes none. */
function withFolder<T extends { readonly data_dir?: string; readonly storage?: StorageConfig }>(
  file: T,
  name: string,
): T & { readonly data_dir: string } {
  const { data_dir: folder, storage } = file;
  const needsFolder = storage === undefined || storage.driver === "files";
  if (needsFolder !== (folder !== undefined)) {
    throw new FormatError("ERR_SHAPE", `${name}.data_dir: want it with the driver files, and only with it`);
  }
  return { ...file, data_dir: folder ?? "" };
}

/** Puts the text of the policy in the place of the file's path. */
function withPolicy<T extends PolicyMembers>(
  file: T,
  name: string,
  readPolicy: (path: string) => string,
): Omit<T, keyof PolicyMembers> & { readonly witness_policy: string } {
  const { witness_policy: text, witness_policy_file: path, ...rest } = file;
  if ((text === undefined) === (path === undefined)) {
    throw new FormatError("ERR_SHAPE", `${name}.witness_policy: want this or witness_policy_file, and not both`);
  }
  return { ...rest, witness_policy: text ?? checkPolicy(readPolicy(path ?? "")) };
}

function checkPolicy(text: string): string {
  parseWitnessPolicy(text);
  return text;
}

function refuseFile(path: string): string {
  throw new FormatError("ERR_CONFIG", `ledger.witness_policy_file: nobody reads ${path} here`);
}

/**
 * Reads the configuration of a ledger with several logs.
 *
 * @param readPolicy  text of the file that a `witness_policy_file` names
 * @throws {FormatError} ERR_SHAPE, naming the member; ERR_CONFIG if two logs share a name, an origin or a folder
 */
export function parseLedgersConfig(value: JsonValue, readPolicy: (path: string) => string = refuseFile): LedgersConfig {
  const file = readShape(severalShape, value, "ledger");
  const logs = file.logs.map((log, i) =>
    withPolicy(withFolder(log, `ledger.logs[${i}]`), `ledger.logs[${i}]`, readPolicy),
  );
  const config: LedgersConfig = { listen: file.listen, logs };
  for (const member of ["name", "origin", "data_dir"] as const) {
    const values = config.logs.map((log) => log[member]).filter((value) => value !== "");
    if (new Set(values).size === values.length) continue;
    throw new FormatError("ERR_CONFIG", `logs: want each ${member} once`);
  }
  return config;
}
