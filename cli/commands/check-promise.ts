/** `countersign check-promise`: whether a log kept what it promised about one entry, by evidence that others can check again. */

import { parseUtf8 } from "../../kernel/bytes.ts";
import { BugError, isCodedError, StoreError } from "../../kernel/errors.ts";
import { formatHex, parseHex } from "../../kernel/hex.ts";
import { formatLogProof, parseLogProof } from "../../kernel/log-proof.ts";
import { HASH_BYTES, hashLeaf, type LeafHash, parseLeafHash } from "../../kernel/merkle/hash.ts";
import { proveInclusion } from "../../kernel/merkle/prove.ts";
import { parseLeafPromise } from "../../kernel/promise.ts";
import { appraisePromise, type PromiseEvidence, type PromiseVerdict } from "../../kernel/promise-breach.ts";
import { TILE_WIDTH } from "../../kernel/tile/coordinates.ts";
import { formatTilePath, type TileRef } from "../../kernel/tile/path.ts";
import { makeTileHashReader } from "../../kernel/tile/tile-reader.ts";
import { openLogCheckpoint, parseWitnessPolicy, type WitnessPolicy } from "../../kernel/witness-policy.ts";
import { makeUpstream, type Upstream } from "../../ledger/mirror/upstream.ts";
import { type Arguments, type Command, readArguments, UsageError, VERDICT_EXITS } from "../command.ts";
import { readBytes, readText, writeNewFile } from "../files.ts";
import type { Io } from "../io.ts";

const HELP = `countersign check-promise <promise> (--entry <file> | --leaf <hex>) --witness-policy <file>
                          [--ledger <url> | --proof <file> [--found <hex>] | --checkpoint <file>]

Checks a promise of a log (docs/formats/promise.md) against evidence, and prints the verdict.

  --entry <file>           the entry that was promised, or
  --leaf <hex>             its leaf hash
  --witness-policy <file>  the log's keys and its witnesses (C2SP tlog-policy)
  --ledger <url>           get the evidence from the log: its published checkpoint, and the leaf at the promised index
  --proof <file>           a log proof of the promised index; of another leaf with --found <hex>
  --checkpoint <file>      a checkpoint with its cosignatures
  --save <file>            with --ledger: keep the evidence, for --proof or --checkpoint
  --json                   print the verdict as JSON

Exit: 0 kept; 1 broken, provably; 2 not established; 3 unusable: no promise of this log for this entry.
`;

const OPTIONS = {
  entry: { type: "string" },
  leaf: { type: "string" },
  "witness-policy": { type: "string" },
  ledger: { type: "string" },
  proof: { type: "string" },
  found: { type: "string" },
  checkpoint: { type: "string" },
  save: { type: "string" },
  json: { type: "boolean" },
} as const;

const TIMEOUT_MS = 30_000;

async function run(args: readonly string[], io: Io): Promise<number> {
  const given = readArguments(args, OPTIONS, 1);
  const [path] = given.positionals;
  if (path === undefined) throw new UsageError("name the file of the promise");
  const leaf = readLeaf(given);
  const policy = parseWitnessPolicy(readText(given.required("witness-policy")));
  const promise = parseLeafPromise(readBytes(path));
  // A promise that is not the log's is told before the log is asked about it.
  appraisePromise({ promise, leaf, evidence: [], policy });
  const evidence = await readEvidence(given, BigInt(promise.index), leaf, policy);
  const verdict = "verdict" in evidence ? evidence : appraisePromise({ promise, leaf, evidence: [evidence], policy });
  const found = "type" in evidence && evidence.type === "proof" ? { found: formatHex(evidence.leaf) } : {};
  const shown = { ...verdict, index: promise.index, deadline: promise.promise.deadline, ...found };
  io.out(given.flag("json") ? `${JSON.stringify(shown, null, 2)}\n` : textOf(verdict, shown));
  return VERDICT_EXITS[verdict.verdict];
}

function readLeaf(given: Arguments): LeafHash {
  const [entry, leaf] = [given.text("entry"), given.text("leaf")];
  if ((entry === undefined) === (leaf === undefined)) throw new UsageError("give either --entry or --leaf");
  return entry === undefined ? parseLeaf(leaf ?? "") : hashLeaf(readBytes(entry));
}

function parseLeaf(hex: string): LeafHash {
  return parseLeafHash(parseHex(hex, HASH_BYTES));
}

/** The evidence, or the doubt that is left where there is none. */
async function readEvidence(
  given: Arguments,
  index: bigint,
  leaf: LeafHash,
  policy: WitnessPolicy,
): Promise<PromiseEvidence | PromiseVerdict> {
  const sources = ["ledger", "proof", "checkpoint"].filter((name) => given.text(name) !== undefined);
  if (sources.length > 1) throw new UsageError("give only one of --ledger, --proof and --checkpoint");
  if (given.text("found") !== undefined && sources[0] !== "proof") throw new UsageError("--found belongs to --proof");
  if (given.text("save") !== undefined && sources[0] !== "ledger") throw new UsageError("--save belongs to --ledger");
  const [ledger, proof, checkpoint] = [given.text("ledger"), given.text("proof"), given.text("checkpoint")];
  if (proof !== undefined) {
    const found = given.text("found");
    return {
      type: "proof",
      proof: parseLogProof(readText(proof)),
      leaf: found === undefined ? leaf : parseLeaf(found),
    };
  }
  if (checkpoint !== undefined) return { type: "checkpoint", note: readText(checkpoint) };
  if (ledger === undefined) throw new UsageError("give --ledger, --proof or --checkpoint");
  const evidence = await fetchOrDoubt(ledger, index, policy);
  const save = given.text("save");
  if (save !== undefined && "type" in evidence) writeNewFile(save, fileOf(evidence), 0o644);
  return evidence;
}

/** A log that does not answer, or answers with a checkpoint that nobody signed, has broken nothing provably. */
async function fetchOrDoubt(
  url: string,
  index: bigint,
  policy: WitnessPolicy,
): Promise<PromiseEvidence | PromiseVerdict> {
  try {
    return await fetchEvidence(url, index, policy);
  } catch (error) {
    if (!isCodedError(error) || error instanceof BugError) throw error;
    return { verdict: "not_established", code: error.code, message: error.message };
  }
}

/** What the log publishes about the index: which leaf is there, or that nothing is. Both come from public resources. */
async function fetchEvidence(url: string, index: bigint, policy: WitnessPolicy): Promise<PromiseEvidence> {
  const sleep = (): Promise<void> => Promise.resolve();
  const upstream = makeUpstream({ url, fetch, timeoutMs: TIMEOUT_MS, attempts: 1, sleep });
  const note = await upstream.checkpoint();
  const logKeys = policy.logs.map(({ key }) => key);
  const { size } = openLogCheckpoint(note, logKeys).checkpoint;
  if (size <= index) return { type: "checkpoint", note: parseUtf8(note) };
  const reader = makeTileHashReader(size, (ref) => readTile(upstream, ref));
  const [found] = await reader.readNodes([{ level: 0, index }]);
  if (found === undefined) throw new StoreError("ERR_LOG_UNREACHABLE", "the log has no leaf at the promised index");
  const proof = { index, proof: await proveInclusion(index, size, reader), checkpoint: parseUtf8(note) };
  return { type: "proof", proof, leaf: parseLeafHash(found) };
}

/** SPEC tlog-tiles: a partial tile may be gone once the full one is there. */
async function readTile(upstream: Upstream, ref: TileRef): Promise<Uint8Array> {
  const tile = (await upstream.tile(ref)) ?? (await upstream.tile({ ...ref, width: TILE_WIDTH }));
  if (tile !== undefined) return tile;
  throw new StoreError("ERR_LOG_UNREACHABLE", `the log has no ${formatTilePath(ref)} (404)`);
}

function fileOf(evidence: PromiseEvidence): string {
  return evidence.type === "checkpoint" ? evidence.note : formatLogProof(evidence.proof);
}

const WORDS = { pass: "kept", fail: "BROKEN", not_established: "not established" } as const;

function textOf(
  verdict: PromiseVerdict,
  shown: { readonly index: number; readonly deadline: string; readonly found?: string },
): string {
  const code = verdict.verdict === "pass" ? "" : ` (${verdict.code})`;
  const lines = [
    `${WORDS[verdict.verdict]}${code}: ${verdict.message}`,
    `promised: index ${shown.index}, witnessed by ${shown.deadline}`,
    ...(verdict.verdict === "fail" && shown.found !== undefined ? [`found:    leaf ${shown.found}`] : []),
  ];
  return `${lines.join("\n")}\n`;
}

/** Checks a promise. */
export const checkPromiseCommand: Command = {
  name: "check-promise",
  summary: "prove that a log kept or broke a promise",
  help: HELP,
  run,
};
