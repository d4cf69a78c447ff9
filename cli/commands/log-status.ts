/** `countersign log-status`: what a log is (active, rotating its keys, frozen, decommissioned), without trusting its operator. */

import { parseDecimal } from "../../kernel/decimal.ts";
import { isCodedError, StoreError } from "../../kernel/errors.ts";
import { appraiseLogStatus, type Freshness, type StatusVerdict } from "../../kernel/lifecycle/appraise-status.ts";
import { type LogStatus, type LogStatusDocument, parseLogStatus } from "../../kernel/lifecycle/log-status.ts";
import { formatTimestamp } from "../../kernel/time.ts";
import { parseWitnessPolicy } from "../../kernel/witness-policy.ts";
import { makeUpstream } from "../../ledger/mirror/upstream.ts";
import { type Arguments, type Command, readArguments, UsageError, VERDICT_EXITS } from "../command.ts";
import { readBytes, readText, writeNewFile } from "../files.ts";
import type { Io } from "../io.ts";

const HELP = `countersign log-status <file | url> --witness-policy <file> [--max-age-seconds <n>] [--save <file>] [--json]

Says what a log is, from its status document (docs/formats/log-status.md): active, rotating its keys, frozen or
decommissioned, as of a checkpoint that a quorum of witnesses saw. A file needs no network; a URL is that of the log.

  --witness-policy <file>  a key that the log has or once had, and its witnesses (C2SP tlog-policy)
  --max-age-seconds <n>    how long ago the witnesses may have seen an open log. One that has ended does not age
  --save <file>            keep the document
  --json                   print the verdict as JSON

Exit: 0 proven; 1 false; 2 not established; 3 unusable.
`;

const OPTIONS = {
  "witness-policy": { type: "string" },
  "max-age-seconds": { type: "string" },
  save: { type: "string" },
  json: { type: "boolean" },
} as const;

const TIMEOUT_MS = 30_000;

async function run(args: readonly string[], io: Io): Promise<number> {
  const given = readArguments(args, OPTIONS, 1);
  const [source] = given.positionals;
  if (source === undefined) throw new UsageError("name the file of the status document, or the URL of the log");
  const policy = parseWitnessPolicy(readText(given.required("witness-policy")));
  const bytes = await readSource(source);
  const verdict = appraiseLogStatus(parse(bytes), policy, freshnessOf(given));
  const save = given.text("save");
  if (save !== undefined) writeNewFile(save, new TextDecoder().decode(bytes), 0o644);
  io.out(given.flag("json") ? `${JSON.stringify(shown(verdict), null, 2)}\n` : textOf(verdict));
  return VERDICT_EXITS[verdict.verdict];
}

async function readSource(source: string): Promise<Uint8Array> {
  if (!/^https?:\/\//u.test(source)) return readBytes(source);
  const sleep = (): Promise<void> => Promise.resolve();
  const bytes = await makeUpstream({ url: source, fetch, timeoutMs: TIMEOUT_MS, attempts: 1, sleep }).status();
  if (bytes === undefined) throw new StoreError("ERR_LOG_UNREACHABLE", `${source}: the log shows no status (404)`);
  return bytes;
}

function parse(bytes: Uint8Array): LogStatusDocument {
  try {
    return parseLogStatus(bytes);
  } catch (error) {
    if (!isCodedError(error)) throw error;
    throw new StoreError(error.code, `the status document: ${error.message}`, { cause: error });
  }
}

function freshnessOf(given: Arguments): Freshness | undefined {
  const age = given.text("max-age-seconds");
  if (age === undefined) return undefined;
  return { maxAgeSeconds: parseDecimal(age), nowSeconds: BigInt(Math.floor(Date.now() / 1000)) };
}

/** What is known of the log, as JSON. */
function shown(verdict: StatusVerdict): object {
  const { status } = verdict;
  const known = status === undefined ? {} : knownOf(status);
  if (verdict.verdict === "pass") return { verdict: "pass", ...known };
  return { verdict: verdict.verdict, code: verdict.code, message: verdict.message, ...known };
}

function knownOf(status: LogStatus): object {
  const { standing, checkpoint, openBelow, witnessedSeconds, state } = status;
  const { closing, predecessor, rotations, endedStreams } = state;
  return {
    origin: state.origin,
    standing,
    size: Number(checkpoint.checkpoint.size),
    ...(closing === undefined ? { open_below: Number(openBelow) } : { final_size: Number(closing.finalSize) }),
    ...(closing === undefined ? {} : { reason: closing.reason, successor: closing.successor ?? null }),
    witnessed: witnessedSeconds === undefined ? null : timeOf(witnessedSeconds),
    rotations: rotations.length,
    ended_streams: [...endedStreams].map(([stream, index]) => ({ stream, index })),
    predecessor: predecessor ?? null,
  };
}

function textOf(verdict: StatusVerdict): string {
  const lines: string[] = [];
  if (verdict.verdict !== "pass") {
    const word = verdict.verdict === "fail" ? "FALSE" : "not established";
    lines.push(`${word} (${verdict.code}): ${verdict.message}`);
  }
  if (verdict.status !== undefined) lines.push(...describe(verdict.status));
  return `${lines.join("\n")}\n`;
}

function describe({ standing, checkpoint, openBelow, witnessedSeconds, state }: LogStatus): readonly string[] {
  const { closing, predecessor, endedStreams, rotations, origin } = state;
  const { size } = checkpoint.checkpoint;
  const seen = witnessedSeconds === undefined ? "seen by no quorum" : `seen by a quorum at ${timeOf(witnessedSeconds)}`;
  if (closing !== undefined) {
    const next = closing.successor === undefined ? "none named" : closing.successor.origin;
    return [
      `${standing} at size ${closing.finalSize}: ${origin}`,
      `reason:      ${closing.reason}`,
      `successor:   ${next}`,
      `checkpoint:  ${seen}`,
    ];
  }
  const hidden = openBelow < size ? "; the last entry is not shown, and may be the one that closes it" : "";
  return [
    `${standing} as of checkpoint ${size}: ${origin}`,
    `open:        with ${openBelow} entries${hidden}`,
    `checkpoint:  ${seen}`,
    ...(rotations.length === 0 ? [] : [`rotations:   ${rotations.length}`]),
    ...(predecessor === undefined
      ? []
      : [`predecessor: ${predecessor.origin}, ended with ${predecessor.size} entries`]),
    ...[...endedStreams].map(([stream, index]) => `ended:       stream ${stream}, at index ${index}`),
  ];
}

function timeOf(seconds: bigint): string {
  const ms = Number(seconds) * 1000;
  return ms <= 253_402_300_799_999 ? formatTimestamp(ms) : `${seconds} s`;
}

/** Tells what a log is. */
export const logStatusCommand: Command = {
  name: "log-status",
  summary: "what a log is: active, frozen or decommissioned, proven",
  help: HELP,
  run,
};
