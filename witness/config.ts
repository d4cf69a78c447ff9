/** Configuration of a witness: its file's members, strictly read. */

import { FormatError } from "../kernel/errors.ts";
import type { JsonValue } from "../kernel/json/value.ts";
import { parseVerifierKey, type VerifierKey } from "../kernel/note/verifier-key.ts";
import { array, integer, mapped, object, optional, readShape, type Shape, string } from "../kernel/shape.ts";
import type { WitnessedLog } from "./witness.ts";

/** Where the witness listens. */
export interface Listen {
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** 0 takes any free port. Default 4210. */
  readonly port?: number;
}

/** The file, with paths as they stand in it. */
export interface WitnessConfig {
  readonly listen?: Listen;
  /** Folder of the durable state; made if there is none. */
  readonly data_dir: string;
  /** Files of private note keys of type 0x04 or 0x06; every one cosigns. */
  readonly key_files: readonly string[];
  /** The logs that are witnessed, each with every key that may sign it. */
  readonly logs: readonly WitnessedLog[];
  /** Requests a minute and log before 429; default 600. */
  readonly requests_per_minute?: number;
}

const MAX_LOGS = 10_000;
const MAX_KEYS = 16;

const listenShape: Shape<Listen> = object<Listen>({
  host: optional(string({ maxLength: 255 })),
  port: optional(integer({ max: 65_535 })),
});

const logShape: Shape<WitnessedLog> = mapped(
  object<WitnessedLog>({
    origin: string({ maxLength: 255 }),
    keys: array<VerifierKey>(mapped(string({ maxLength: 4096 }), parseVerifierKey), { min: 1, max: MAX_KEYS }),
  }),
  checkLog,
);

const configShape: Shape<WitnessConfig> = object<WitnessConfig>({
  listen: optional(listenShape),
  data_dir: string({ maxLength: 4096 }),
  key_files: array(string({ maxLength: 4096 }), { min: 1, max: MAX_KEYS }),
  logs: array(logShape, { min: 1, max: MAX_LOGS }),
  requests_per_minute: optional(integer({ min: 1, max: 1_000_000 })),
});

/**
 * Reads a configuration.
 *
 * @throws {FormatError} ERR_SHAPE naming the member; ERR_CONFIG if one origin stands twice
 */
export function parseWitnessConfig(value: JsonValue): WitnessConfig {
  const config = readShape(configShape, value, "config");
  const origins = config.logs.map(({ origin }) => origin);
  const twice = origins.find((origin, index) => origins.indexOf(origin) !== index);
  if (twice !== undefined) throw new FormatError("ERR_CONFIG", `config.logs: the origin ${twice} stands twice`);
  return config;
}

/** SPEC tlog-checkpoint: the key name of a log's signatures is its origin. Log keys are of type 0x01 or 0x06. */
function checkLog(log: WitnessedLog): WitnessedLog {
  for (const key of log.keys) {
    if (key.name !== log.origin) throw new FormatError("ERR_CONFIG", `want keys named ${log.origin}, got ${key.name}`);
    if (key.type === 0x04) throw new FormatError("ERR_CONFIG", "want log keys of type 1 or 6, got a witness key");
  }
  return log;
}
