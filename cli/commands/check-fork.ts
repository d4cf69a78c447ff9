/** `countersign check-fork`: checks, offline, that evidence proves a fork of a log or of a stream. */

import { formatUtf8, parseUtf8 } from "../../kernel/bytes.ts";
import { checkLogFork } from "../../kernel/checkpoint/fork-evidence.ts";
import { isCodedError } from "../../kernel/errors.ts";
import { parseCanonical } from "../../kernel/json/canonical.ts";
import { isJsonObject } from "../../kernel/json/value.ts";
import { parseVerifierKey, type VerifierKey } from "../../kernel/note/verifier-key.ts";
import { checkStreamForkFile } from "../../kernel/stream/fork-evidence.ts";
import { parseWitnessPolicy } from "../../kernel/witness-policy.ts";
import { type Command, EXIT, readArguments, UsageError } from "../command.ts";
import { readBytes } from "../files.ts";
import type { Io } from "../io.ts";

const HELP = `countersign check-fork <file> [--key <vkey> ...] [--policy <file>]

Checks evidence of equivocation, offline: one document a line, as a witness, a ledger or an auditor node keeps it
(docs/formats/fork-evidence.md).

  log-fork      two checkpoints that a log signed and that cannot be of one history; needs the log's verifier keys, from
                --key or from the log lines of a witness policy (C2SP tlog-policy)
  stream-fork   two receipts that the key of a stream signed for one place; names its keys itself

Prints one line a document. Exits with 0 if every one proves a fork, with 1 if one does not.
`;

async function run(args: readonly string[], io: Io): Promise<number> {
  const given = readArguments(args, { key: { type: "string", multiple: true }, policy: { type: "string" } }, 1);
  const [path] = given.positionals;
  if (path === undefined) throw new UsageError("say which file to check");
  const policy = given.text("policy");
  const logs = policy === undefined ? [] : parseWitnessPolicy(parseUtf8(readBytes(policy))).logs;
  const keys = [...given.texts("key").map(parseVerifierKey), ...logs.map(({ key }) => key)];
  const documents = parseUtf8(readBytes(path)).replace(/\n$/u, "").split("\n");
  const results = documents.map((document) => describe(formatUtf8(document), keys));
  for (const { line } of results) io.out(`${line}\n`);
  return results.every(({ isProven }) => isProven) ? EXIT.ok : EXIT.failed;
}

interface Result {
  readonly isProven: boolean;
  readonly line: string;
}

function describe(document: Uint8Array, keys: readonly VerifierKey[]): Result {
  try {
    return { isProven: true, line: `proven: ${check(document, keys)}` };
  } catch (error) {
    if (!isCodedError(error)) throw error;
    return { isProven: false, line: `not proven: ${error.code}: ${error.message}` };
  }
}

function check(document: Uint8Array, keys: readonly VerifierKey[]): string {
  const value = parseCanonical(document, { maxBytes: document.length });
  if (isJsonObject(value) && value["kind"] === "stream-fork") {
    const { stream, seq } = checkStreamForkFile(document);
    return `the key of stream ${stream} signed two receipts for seq ${seq}`;
  }
  const { origin, first, second } = checkLogFork(document, keys);
  if (second === undefined) return `log ${origin} signed a tree of no leaves with a root that no such tree has`;
  return `log ${origin} signed two histories, at sizes ${first.size} and ${second.size}`;
}

/** Checks evidence of forks. */
export const checkForkCommand: Command = {
  name: "check-fork",
  summary: "check evidence of a fork, offline",
  help: HELP,
  run,
};
