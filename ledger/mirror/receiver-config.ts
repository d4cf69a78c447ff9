/** Configuration of a mirror that logs push to: its file's members, strictly read. */

import { FormatError } from "../../kernel/errors.ts";
import type { JsonValue } from "../../kernel/json/value.ts";
import { parseVerifierKey, type VerifierKey } from "../../kernel/note/verifier-key.ts";
import { originShape } from "../../kernel/receipt/stream-open.ts";
import { type Listen, listenShape } from "../../kernel/service/listen.ts";
import { array, mapped, object, readShape, type Shape, string } from "../../kernel/shape.ts";

/** A log that may push, with every key that may sign it. */
export type ReceivedLogConfig = { readonly origin: string; readonly keys: readonly VerifierKey[] };

/** The file, with paths as they stand in it. */
export type ReceiverConfig = {
  readonly listen: Listen;
  /** One folder a log is made in it, named by the hex SHA-256 of the origin. */
  readonly data_dir: string;
  /** Files of private note keys of type 0x04 or 0x06; not those of a witness. */
  readonly key_files: readonly string[];
  readonly logs: readonly ReceivedLogConfig[];
};

const path = string({ pattern: /^[^\0]+$/, maxLength: 4096, description: "a path" });

const logShape: Shape<ReceivedLogConfig> = mapped(
  object<ReceivedLogConfig>({
    origin: originShape,
    keys: array<VerifierKey>(mapped(string({ maxLength: 4096 }), parseVerifierKey), { min: 1, max: 16 }),
  }),
  (log) => {
    // SPEC tlog-checkpoint: the key name of a log's signatures is its origin.
    if (log.keys.every((key) => key.name === log.origin && key.type !== 0x04)) return log;
    throw new FormatError("ERR_SHAPE", `want keys of type 1 or 6 named ${log.origin}`);
  },
);

const configShape: Shape<ReceiverConfig> = object<ReceiverConfig>({
  listen: listenShape,
  data_dir: path,
  key_files: array(path, { min: 1, max: 16 }),
  logs: array(logShape, { min: 1, max: 1000 }),
});

/**
 * Reads a configuration.
 *
 * @throws {FormatError} ERR_SHAPE naming the member, also if keys do not fit their origin; ERR_CONFIG if one origin stands twice
 */
export function parseReceiverConfig(value: JsonValue): ReceiverConfig {
  const config = readShape(configShape, value, "mirror");
  const origins = config.logs.map(({ origin }) => origin);
  if (new Set(origins).size === origins.length) return config;
  throw new FormatError("ERR_CONFIG", "mirror.logs: an origin stands twice");
}
