/** Starts real ledgers on loopback, with their data in a folder that is removed afterwards. */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeSignerKey, type SignerKey } from "../../kernel/note/signer-key.ts";
import type { Logger, RunningService } from "../../kernel/service/service.ts";
import { createSigner } from "../../kernel/signature/signer.ts";
import type { LedgerConfig } from "../../ledger/config.ts";
import type { LedgerOptions } from "../../ledger/options.ts";
import { startLedger } from "../../ledger/start.ts";

export const LEDGER_ORIGIN: string = "ledger.example/test";
export const SUBMIT_TOKEN: string = "submit-token-0123456789-0123456789";
export const OPERATOR_TOKEN: string = "operator-token-0123456789-0123456789";
export const READER_TOKEN: string = "reader-token-0123456789-0123456789";

/** Policy of a log that nobody cosigns. */
export const NO_WITNESSES: string = "quorum none\n";

/** Keys of the log, from fixed seeds. */
export const LEDGER_KEYS: readonly SignerKey[] = [
  makeSignerKey(LEDGER_ORIGIN, 0x01, new Uint8Array(32).fill(41)),
  makeSignerKey(LEDGER_ORIGIN, 0x06, new Uint8Array(32).fill(42)),
];

/** A log line that a ledger wrote. */
export interface LogLine {
  readonly level: "info" | "warn" | "error";
  readonly fields: object;
  readonly message: string;
}

/** A ledger under test. */
export interface TestLedger extends RunningService {
  readonly dataDir: string;
  readonly lines: readonly LogLine[];
  readonly get: (path: string, headers?: Record<string, string>) => Promise<Response>;
  readonly post: (path: string, body: Uint8Array | string, headers?: Record<string, string>) => Promise<Response>;
}

/** What differs from test to test. */
export interface TestLedgerOptions {
  readonly config?: Partial<LedgerConfig>;
  readonly dataDir?: string;
  readonly fetch?: typeof fetch;
  readonly signing?: "worker" | "inline";
  readonly closeGraceMs?: number;
  readonly scittKey?: NonNullable<LedgerOptions["scittKey"]>;
  readonly clock?: NonNullable<LedgerOptions["clock"]>;
  readonly wrapDisk?: NonNullable<LedgerOptions["wrapDisk"]>;
  readonly logKeys?: LedgerOptions["logKeys"];
}

/** Removes a folder when the test run ends. */
export async function makeDataDir(): Promise<string> {
  return mkdtemp(join(tmpdir(), "countersign-ledger-"));
}

/** Options of a ledger; a raw log without witnesses unless told otherwise. */
export function ledgerOptions(dataDir: string, logger: Logger, options: TestLedgerOptions = {}): LedgerOptions {
  return {
    config: {
      listen: { port: 0 },
      data_dir: dataDir,
      origin: LEDGER_ORIGIN,
      log_kind: "raw",
      log_key_files: ["log.key", "log-ml-dsa-44.key"],
      operator_key_file: "operator.key",
      witness_policy: NO_WITNESSES,
      admission: { software_evidence: "allow" },
      submit_token_file: "submit",
      reader_token_files: ["reader"],
      readers: "token",
      checkpoint_ms: 20,
      witness_ms: 20,
      witness_timeout_ms: 10_000,
      ...options.config,
    },
    logKeys: options.logKeys ?? LEDGER_KEYS,
    operatorKey: createSigner("ed25519", new Uint8Array(32).fill(43)),
    operatorToken: OPERATOR_TOKEN,
    submitToken: SUBMIT_TOKEN,
    readerTokens: [READER_TOKEN],
    logger,
    signing: options.signing ?? "inline",
    ...(options.closeGraceMs === undefined ? {} : { closeGraceMs: options.closeGraceMs }),
    ...(options.fetch === undefined ? {} : { fetch: options.fetch }),
    ...(options.scittKey === undefined ? {} : { scittKey: options.scittKey }),
    ...(options.clock === undefined ? {} : { clock: options.clock }),
    ...(options.wrapDisk === undefined ? {} : { wrapDisk: options.wrapDisk }),
  };
}

/** Starts a ledger. */
export async function startTestLedger(options: TestLedgerOptions = {}): Promise<TestLedger> {
  const dataDir = options.dataDir ?? (await makeDataDir());
  const lines: LogLine[] = [];
  const at =
    (level: LogLine["level"]) =>
    (fields: object, message: string): void =>
      void lines.push({ level, fields, message });
  const logger = { info: at("info"), warn: at("warn"), error: at("error") };
  const { url, close } = await startLedger(ledgerOptions(dataDir, logger, options));
  return {
    url,
    dataDir,
    lines,
    get: (path, headers = {}) => fetch(`${url}${path}`, { headers, redirect: "manual" }),
    post: (path, body, headers = {}) => fetch(`${url}${path}`, { method: "POST", body, headers, redirect: "manual" }),
    close,
  };
}

/** Closes ledgers and removes their folders. */
export async function removeLedgers(ledgers: readonly TestLedger[]): Promise<void> {
  for (const ledger of ledgers) await ledger.close();
  for (const { dataDir } of ledgers) await rm(dataDir, { recursive: true, force: true });
}

/** Far above what a busy machine needs, and below the limit of a test, which would not say what was waited for. */
const EVENTUALLY_MS = 30_000;

/** Asks again and again until `probe` gives something; fails after thirty seconds. */
export async function eventually<T>(probe: () => Promise<T | undefined>): Promise<T> {
  const deadline = performance.now() + EVENTUALLY_MS;
  for (;;) {
    const found = await probe();
    if (found !== undefined) return found;
    if (performance.now() > deadline) throw new Error("it did not happen within thirty seconds");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Headers of a submitter. */
export const SUBMIT: Record<string, string> = { authorization: `Bearer ${SUBMIT_TOKEN}` };
/** Headers of the operator. */
export const OPERATE: Record<string, string> = {
  authorization: `Bearer ${OPERATOR_TOKEN}`,
  "content-type": "application/json",
};
/** Headers of a reader. */
export const READ: Record<string, string> = { authorization: `Bearer ${READER_TOKEN}` };

/** Code of an error answer, or undefined if the body is none. */
export async function errorCode(response: Response): Promise<string | undefined> {
  const body: unknown = await response.json().catch(() => undefined);
  if (typeof body !== "object" || body === null || !("error" in body)) return undefined;
  const { error } = body;
  return typeof error === "object" && error !== null && "code" in error ? String(error.code) : undefined;
}
