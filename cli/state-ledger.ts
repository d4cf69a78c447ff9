/** The words of `countersign ledger`: what the operator of a log has it say about itself. */

import { CheckError } from "../kernel/errors.ts";
import { formatHex } from "../kernel/hex.ts";
import { formatCanonical } from "../kernel/json/canonical.ts";
import { appraiseLogStatus } from "../kernel/lifecycle/appraise-status.ts";
import { parseLogStatus } from "../kernel/lifecycle/log-status.ts";
import { type FinalTree, type Successor, successorShape } from "../kernel/lifecycle/statement.ts";
import { readShape } from "../kernel/shape.ts";
import { parseWitnessPolicy } from "../kernel/witness-policy.ts";
import type { LedgerConfig, LedgersConfig } from "../ledger/config.ts";
import type { OperatorAction } from "../ledger/lifecycle/log-desk.ts";
import { type Arguments, EXIT, UsageError } from "./command.ts";
import { readBytes, readText, writeNewFile } from "./files.ts";
import type { Io } from "./io.ts";
import { ledgerOptionsOf, pickLog } from "./ledger-files.ts";
import { type Operated, operateLedger } from "./operate-ledger.ts";

const WORDS = ["rotate-key", "retire-key", "freeze", "decommission", "end-stream", "link"] as const;

/** One of them. */
export type StatementWord = (typeof WORDS)[number];

/** Options that belong to the words. */
export const STATEMENT_OPTIONS = {
  log: { type: "string" },
  reason: { type: "string" },
  stream: { type: "string" },
  successor: { type: "string" },
  "successor-key": { type: "string", multiple: true },
  "successor-url": { type: "string" },
  predecessor: { type: "string" },
  "predecessor-policy": { type: "string" },
  out: { type: "string" },
  "wait-ms": { type: "string" },
  "dry-run": { type: "boolean" },
} as const;

const DEFAULT_WAIT_MS = 30_000;

/** True for the words. */
export function isStatementWord(word: string): word is StatementWord {
  return WORDS.some((each) => each === word);
}

/**
 * Performs a word.
 *
 * @throws {UsageError}; as `operateLedger`
 */
export async function stateLedger(
  word: StatementWord,
  file: LedgerConfig | LedgersConfig,
  given: Arguments,
  io: Io,
): Promise<number> {
  const { config, prefix } = pickLog(file, given.text("log"));
  const action = actionOf(word, given, config);
  const isDryRun = given.flag("dry-run");
  const out = given.text("out");
  if (word === "decommission" && out === undefined && !isDryRun) throw new UsageError("--out is required");
  const operation = {
    options: ledgerOptionsOf(config, io),
    prefix,
    ...(action === undefined ? {} : { action }),
    isDryRun,
    waitMs: waitOf(given),
  };
  return tell(await operateLedger(operation), { isDryRun, out }, io);
}

function tell(
  { statement, status }: Operated,
  { isDryRun, out }: { readonly isDryRun: boolean; readonly out: string | undefined },
  io: Io,
): number {
  if (statement !== undefined) io.out(`${formatCanonical(statement)}\n`);
  if (isDryRun) return EXIT.ok;
  if (status === undefined) {
    io.err("countersign ledger: no witnessed checkpoint covers it yet; GET /log-status shows when one does\n");
    return EXIT.notEstablished;
  }
  if (out !== undefined) writeNewFile(out, new TextDecoder().decode(status), 0o644);
  return EXIT.ok;
}

/** Undefined: the log has ended already, and only its status document is wanted. */
function actionOf(word: StatementWord, given: Arguments, config: LedgerConfig): OperatorAction | undefined {
  switch (word) {
    case "rotate-key":
    case "retire-key":
      return { action: word };
    case "freeze":
      return { action: "close", end: "frozen", reason: given.required("reason"), ...successorOf(given) };
    case "decommission": {
      const reason = given.text("reason");
      return reason === undefined
        ? undefined
        : { action: "close", end: "decommissioned", reason, ...successorOf(given) };
    }
    case "end-stream":
      return { action: "end-stream", stream: given.required("stream"), reason: given.required("reason") };
    case "link":
      return { action: "link", predecessor: readPredecessor(given, config) };
  }
}

function successorOf(given: Arguments): { readonly successor?: Successor } {
  const origin = given.text("successor");
  const [keys, url] = [given.texts("successor-key"), given.text("successor-url")];
  if (origin === undefined) {
    if (keys.length === 0 && url === undefined) return {};
    throw new UsageError("--successor-key and --successor-url belong to --successor");
  }
  const value = { origin, ...(keys.length === 0 ? {} : { keys }), ...(url === undefined ? {} : { url }) };
  return { successor: readShape(successorShape, value, "successor") };
}

/** The final tree of a log that has provably ended. @throws {CheckError} ERR_PREDECESSOR */
function readPredecessor(given: Arguments, config: LedgerConfig): FinalTree {
  const policy = parseWitnessPolicy(readText(given.required("predecessor-policy")));
  const verdict = appraiseLogStatus(parseLogStatus(readBytes(given.required("predecessor"))), policy);
  if (verdict.verdict !== "pass") throw new CheckError("ERR_PREDECESSOR", `${verdict.code}: ${verdict.message}`);
  const { checkpoint, state } = verdict.status;
  const { origin, size, root } = checkpoint.checkpoint;
  if (state.closing === undefined) throw new CheckError("ERR_PREDECESSOR", "the log before has not ended");
  if (config.predecessor !== undefined && config.predecessor !== origin) {
    throw new CheckError("ERR_PREDECESSOR", `want the status of ${config.predecessor}, got that of ${origin}`);
  }
  return { origin, size: Number(size), root: formatHex(root) };
}

function waitOf(given: Arguments): number {
  const text = given.text("wait-ms");
  if (text === undefined) return DEFAULT_WAIT_MS;
  if (/^\d{1,7}$/u.test(text)) return Number(text);
  throw new UsageError("--wait-ms: want milliseconds");
}
