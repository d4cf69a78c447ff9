/** Configuration of a ledger: one JSON file, every member checked, unknown ones refused (docs/ledger.md). */

import { type AdmissionPolicy, admissionPolicyShape, type LogKind } from "../kernel/genesis.ts";
import type { JsonValue } from "../kernel/json/value.ts";
import { originShape } from "../kernel/receipt/stream-open.ts";
import {
  array,
  boolean,
  integer,
  literal,
  mapped,
  object,
  optional,
  readShape,
  type Shape,
  string,
} from "../kernel/shape.ts";
import { parseWitnessPolicy } from "../kernel/witness-policy.ts";
import { type ScittConfig, scittConfigShape } from "./scitt/config.ts";
import { type TraceConfig, traceConfigShape } from "./trace/config.ts";

/** Where a service listens. */
export type Listen = {
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** Default 4200; 0 takes any free port. */
  readonly port?: number;
};

/** The configuration file of a ledger. `*_file` are paths, read by the command line. */
export type LedgerConfig = {
  readonly listen: Listen;
  readonly data_dir: string;
  /** The log's identity line: a schema-less URL. */
  readonly origin: string;
  readonly log_kind: LogKind;
  /** The log's Ed25519 (0x01) and ML-DSA-44 (0x06) note keys. */
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
  /** Logs of receipts only: registers COSE statements and answers with COSE receipts. Default: it does not. */
  readonly scitt?: ScittConfig;
  /** Logs of receipts only: takes trust records and revocations. Default: it does not. */
  readonly trace?: TraceConfig;
};

/** Defaults of the optional members. */
export const LEDGER_DEFAULTS = {
  host: "127.0.0.1",
  port: 4200,
  checkpointMs: 200,
  witnessMs: 1000,
  witnessTimeoutMs: 2000,
} as const;

const path = string({ pattern: /^[^\0]+$/, maxLength: 4096, description: "a path" });

const shape: Shape<LedgerConfig> = object<LedgerConfig>({
  listen: object<Listen>({
    host: optional(string({ pattern: /^[^\s/]+$/, maxLength: 255, description: "a host name or address" })),
    port: optional(integer({ max: 65_535 })),
  }),
  data_dir: path,
  origin: originShape,
  log_kind: literal("receipts", "raw"),
  log_key_files: array(path, { min: 2, max: 2 }),
  operator_key_file: path,
  witness_policy: mapped(
    string({ maxLength: 1_048_576, description: "a witness policy (C2SP tlog-policy)" }),
    (text) => {
      parseWitnessPolicy(text);
      return text;
    },
  ),
  admission: admissionPolicyShape,
  submit_token_file: path,
  reader_token_files: array(path, { max: 1024 }),
  readers: literal("token", "public"),
  open_add: optional(boolean()),
  checkpoint_ms: optional(integer({ min: 20, max: 60_000 })),
  witness_ms: optional(integer({ min: 20, max: 3_600_000 })),
  witness_timeout_ms: optional(integer({ min: 10, max: 60_000 })),
  scitt: optional(scittConfigShape),
  trace: optional(traceConfigShape),
});

/**
 * Reads the configuration of a ledger.
 *
 * @throws {FormatError} ERR_SHAPE, naming the member
 */
export function parseLedgerConfig(value: JsonValue): LedgerConfig {
  return readShape(shape, value, "ledger");
}
