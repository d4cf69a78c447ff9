/** Configuration of an auditor node: one JSON file, every member checked, unknown ones refused (docs/graphql.md). */

import { FormatError } from "../kernel/errors.ts";
import type { JsonValue } from "../kernel/json/value.ts";
import { isLoopback, type Listen, listenShape } from "../kernel/service/listen.ts";
import { array, integer, mapped, object, optional, readShape, type Shape, string } from "../kernel/shape.ts";
import { parseWitnessPolicy, type WitnessPolicy } from "../kernel/witness-policy.ts";

/** A ledger to follow. Nothing that it says is believed: the policy holds the keys that count. */
export type LedgerSource = {
  /** How this node calls it: `[a-z0-9][a-z0-9-]{0,31}`. */
  readonly name: string;
  /** Prefix of its read path, without a slash at the end. */
  readonly url: string;
  /** C2SP tlog-policy: the log's keys, its witnesses, the quorum. */
  readonly witness_policy: WitnessPolicy;
  /** Token for entry bundles; absent for a log whose entries are public. */
  readonly reader_token_file?: string;
};

/** Bounds of one GraphQL request. */
export type LimitsConfig = {
  /** Nested fields, introspection not counted; default 12. */
  readonly max_depth?: number;
  /** Fields times page sizes; default 10,000. */
  readonly max_cost?: number;
  /** Default 20. */
  readonly max_aliases?: number;
  /** Tokens of a document; default 2,000. */
  readonly max_tokens?: number;
  /** Nodes of a page; default 100. */
  readonly max_page?: number;
  /** Default 65,536. */
  readonly max_body_bytes?: number;
  /** Default 5,000. */
  readonly timeout_ms?: number;
  /** Requests at the same time; default 32. */
  readonly max_concurrent?: number;
};

/** The file, with paths as they stand in it. */
export type ApiConfig = {
  /** Default 127.0.0.1:4300. Any other host than a loopback one needs a reader token. */
  readonly listen: Listen;
  /** Folder of what the node keeps; made if there is none. */
  readonly data_dir: string;
  readonly ledgers: readonly LedgerSource[];
  /** Tokens that open GraphQL; none: anybody who reaches the loopback listener. */
  readonly reader_token_files?: readonly string[];
  /** Time between looks at each ledger; default 1,000. */
  readonly poll_ms?: number;
  /** A witness whose last cosignature is older than the median of all by more than this is stale; default 300. */
  readonly stale_witness_seconds?: number;
  /** A newest checkpoint whose cosignatures are older than this is stale; default 7,200. */
  readonly stale_checkpoint_seconds?: number;
  readonly limits?: LimitsConfig;
};

const MAX_LEDGERS = 64;
const pathShape: Shape<string> = string({ maxLength: 4096 });

const ledgerShape: Shape<LedgerSource> = object<LedgerSource>({
  name: string({ pattern: /^[a-z0-9][a-z0-9-]{0,31}$/u, maxLength: 32 }),
  url: mapped(string({ maxLength: 2048 }), checkUrl),
  witness_policy: mapped(string({ maxLength: 1_048_576 }), readPolicy),
  reader_token_file: optional(pathShape),
});

const limitsShape: Shape<LimitsConfig> = object<LimitsConfig>({
  max_depth: optional(integer({ min: 4, max: 64 })),
  max_cost: optional(integer({ min: 100, max: 1_000_000 })),
  max_aliases: optional(integer({ max: 1000 })),
  max_tokens: optional(integer({ min: 100, max: 100_000 })),
  max_page: optional(integer({ min: 1, max: 1000 })),
  max_body_bytes: optional(integer({ min: 1024, max: 1_048_576 })),
  timeout_ms: optional(integer({ min: 10, max: 60_000 })),
  max_concurrent: optional(integer({ min: 1, max: 1024 })),
});

const configShape: Shape<ApiConfig> = object<ApiConfig>({
  listen: listenShape,
  data_dir: pathShape,
  ledgers: array(ledgerShape, { min: 1, max: MAX_LEDGERS }),
  reader_token_files: optional(array(pathShape, { min: 1, max: 64 })),
  poll_ms: optional(integer({ min: 20, max: 3_600_000 })),
  stale_witness_seconds: optional(integer({ min: 1, max: 31_536_000 })),
  stale_checkpoint_seconds: optional(integer({ min: 1, max: 31_536_000 })),
  limits: optional(limitsShape),
});

/**
 * Reads a configuration.
 *
 * @throws {FormatError} ERR_SHAPE naming the member; ERR_CONFIG if two ledgers have one name, or if a node that others
 *   can reach asks for no token
 */
export function parseApiConfig(value: JsonValue): ApiConfig {
  const config = readShape(configShape, value, "config");
  const names = config.ledgers.map(({ name }) => name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw new FormatError("ERR_CONFIG", `config.ledgers: the name ${twice} stands twice`);
  checkExposure(config);
  return config;
}

/** @throws {FormatError} ERR_CONFIG */
function checkExposure({ listen, reader_token_files: tokens }: ApiConfig): void {
  if (tokens !== undefined || isLoopback(listen.host ?? "127.0.0.1")) return;
  throw new FormatError("ERR_CONFIG", "config.listen.host: others than loopback need reader_token_files");
}

function checkUrl(text: string): string {
  if (/^https?:\/\/[^\s/?#@]+(?:\/[^\s?#]*[^\s?#/])?$/u.test(text) && URL.canParse(text)) return text;
  throw new FormatError("ERR_SHAPE", "want http(s)://host[:port][/path] without credentials and without a last slash");
}

/** One ledger is one log: all log keys of its policy have the log's origin as their name. */
function readPolicy(text: string): WitnessPolicy {
  const policy = parseWitnessPolicy(text);
  const origins = new Set(policy.logs.map(({ key }) => key.name));
  if (origins.size === 1) return policy;
  throw new FormatError("ERR_SHAPE", `want log keys of one origin, got those of ${origins.size}`);
}
