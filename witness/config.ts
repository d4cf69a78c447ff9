/** Configuration of a witness and its list of logs: their members, strictly read. */

import { FormatError } from "../kernel/errors.ts";
import type { JsonValue } from "../kernel/json/value.ts";
import { parseVerifierKey, type VerifierKey } from "../kernel/note/verifier-key.ts";
import { type Listen, listenShape } from "../kernel/service/listen.ts";
import { array, integer, mapped, object, optional, readShape, type Shape, string } from "../kernel/shape.ts";
import type { WitnessedLog } from "./witness.ts";

/** The file, with paths as they stand in it. */
export interface WitnessConfig {
  /** Default 127.0.0.1:4210. */
  readonly listen?: Listen;
  /** Folder of the durable state; made if there is none. */
  readonly data_dir: string;
  /** A file on another disk that says how far the state was; its folder must be there. */
  readonly fence_file?: string;
  /** Files of private note keys of type 0x04 or 0x06; every one cosigns. */
  readonly key_files: readonly string[];
  /** The logs that are witnessed, each with every key that may sign it. */
  readonly logs?: readonly WitnessedLog[];
  /** More logs: a JSON file with an array of them, or a folder of such files `*.json`. Read again at each reload. */
  readonly logs_path?: string;
  /** Signed requests a minute and log before 429; default 600. */
  readonly requests_per_minute?: number;
  /** Requests a minute and source address before 429; default 6000. */
  readonly requests_per_minute_per_source?: number;
  /** Token of `POST /reload`; without it there is no such route. */
  readonly operator_token_file?: string;
}

const MAX_LOGS = 10_000;
const MAX_KEYS = 16;

const path: Shape<string> = string({ maxLength: 4096 });
const rate: Shape<number> = integer({ min: 1, max: 100_000_000 });

const logShape: Shape<WitnessedLog> = mapped(
  object<WitnessedLog>({
    origin: string({ maxLength: 255 }),
    keys: array<VerifierKey>(mapped(string({ maxLength: 4096 }), parseVerifierKey), { min: 1, max: MAX_KEYS }),
    requests_per_minute: optional(rate),
  }),
  checkLog,
);

const logsShape: Shape<readonly WitnessedLog[]> = array(logShape, { max: MAX_LOGS });

const configShape: Shape<WitnessConfig> = object<WitnessConfig>({
  listen: optional(listenShape),
  data_dir: path,
  fence_file: optional(path),
  key_files: array(path, { min: 1, max: MAX_KEYS }),
  logs: optional(logsShape),
  logs_path: optional(path),
  requests_per_minute: optional(rate),
  requests_per_minute_per_source: optional(rate),
  operator_token_file: optional(path),
});

/**
 * Reads a configuration.
 *
 * @throws {FormatError} ERR_SHAPE naming the member; ERR_CONFIG if one origin stands twice or no log is named
 */
export function parseWitnessConfig(value: JsonValue): WitnessConfig {
  const config = readShape(configShape, value, "config");
  if (config.logs_path === undefined && (config.logs ?? []).length === 0) {
    throw new FormatError("ERR_CONFIG", "config.logs: want at least one log, or logs_path");
  }
  joinLogs([config.logs ?? []]);
  return config;
}

/**
 * Reads one file of a log list: an array of logs.
 *
 * @throws {FormatError} ERR_SHAPE naming the member
 */
export function parseLogList(value: JsonValue): readonly WitnessedLog[] {
  return readShape(logsShape, value, "logs");
}

/**
 * One list of several.
 *
 * @throws {FormatError} ERR_CONFIG if one origin stands twice: two lists of keys for one log would contradict each other
 */
export function joinLogs(lists: readonly (readonly WitnessedLog[])[]): readonly WitnessedLog[] {
  const logs = lists.flat();
  const seen = new Set<string>();
  for (const { origin } of logs) {
    if (seen.has(origin)) throw new FormatError("ERR_CONFIG", `logs: the origin ${origin} stands twice`);
    seen.add(origin);
  }
  if (logs.length > MAX_LOGS) throw new FormatError("ERR_CONFIG", `logs: want at most ${MAX_LOGS}, got ${logs.length}`);
  return logs;
}

/** SPEC tlog-checkpoint: the key name of a log's signatures is its origin. Log keys are of type 0x01 or 0x06. */
function checkLog(log: WitnessedLog): WitnessedLog {
  for (const key of log.keys) {
    if (key.name !== log.origin) throw new FormatError("ERR_CONFIG", `want keys named ${log.origin}, got ${key.name}`);
    if (key.type === 0x04) throw new FormatError("ERR_CONFIG", "want log keys of type 1 or 6, got a witness key");
  }
  return log;
}
