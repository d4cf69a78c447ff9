/** `countersign mandate`: makes and checks chains of mandates, by which one party lets another act in its name. */

import { existsSync } from "node:fs";
import { formatUtf8, parseUtf8 } from "../../kernel/bytes.ts";
import { CheckError, FormatError } from "../../kernel/errors.ts";
import { parseMandate, signMandate } from "../../kernel/mandate/mandate.ts";
import { checkHolder, checkMandateChain, type MandateChain } from "../../kernel/mandate/mandate-chain.ts";
import {
  type CheckedRevocations,
  isRevoked,
  parseRevocations,
  revokedByKey,
  signRevocations,
} from "../../kernel/mandate/mandate-revocations.ts";
import { array, readShape, string } from "../../kernel/shape.ts";
import { formatPublicKey, type PublicKey, publicKeyShape } from "../../kernel/signature/public-key.ts";
import { formatTimestamp, parseTimestamp, type Timestamp, timestampMs } from "../../kernel/time.ts";
import { type Arguments, type Command, EXIT, readArguments, UsageError } from "../command.ts";
import { readBytes, readEnvelopeKey, readJsonFile, replaceFile, writeNewFile } from "../files.ts";
import type { Io } from "../io.ts";
import { listOf, partyOf } from "../scope-options.ts";

const HELP = `countersign mandate <key | issue | check | revoke> …

A mandate lets another party call some tools for some time, and may let it pass a part of that on. A chain of them is
sent with each call, in _meta["countersign/mandates"] (docs/formats/mandate.md).

  key --key <file>
      prints the public key of a secret one ("countersign keygen envelope" makes it): what --holder-key takes, and "key" of
      auth.mandates.roots in a gateway's configuration
  issue --key <file> --holder <issuer>|<name> --out <file> [--parent <chain>] [--holder-key <file>]
        [--tools <server>/<tool>,…] [--resources <server>/<URI>,…] [--not-before <time>] --not-after <time> [--depth <n>]
      signs a mandate and writes the chain that it ends. --parent is the chain that it goes on from; the key must be the one
      that the chain's holder has. Without --holder-key, or with --depth 0 (the default), the holder cannot pass it on. Times
      are like 2026-01-31T12:00:00.000Z; --not-before is now by default
  check <chain> --root-key <file> --root <issuer>|<name> [--holder <issuer>|<name>] [--at <time>] [--revocations <file>,…]
      checks a chain hop by hop, as a gateway does. Exit 1 if it does not hold
  revoke <chain> --key <file> --list <file> [--hop <n>]
      takes back a mandate of the chain (its last, or the n-th from 1) and with it everything that was derived from it: adds it
      to the key's list, or begins one. The key must be one that issued this mandate or one before it. The list is what
      auth.mandates.revocation_files of a gateway's configuration names

Exit: 0 done; 1 the chain does not hold; 3 unusable.
`;

const OPTIONS = {
  key: { type: "string" },
  holder: { type: "string" },
  "holder-key": { type: "string" },
  parent: { type: "string" },
  tools: { type: "string" },
  resources: { type: "string" },
  "not-before": { type: "string" },
  "not-after": { type: "string" },
  depth: { type: "string" },
  out: { type: "string" },
  root: { type: "string" },
  "root-key": { type: "string" },
  at: { type: "string" },
  revocations: { type: "string" },
  list: { type: "string" },
  hop: { type: "string" },
} as const;

async function run(args: readonly string[], io: Io): Promise<number> {
  const given = readArguments(args, OPTIONS, 2);
  const [action, file] = given.positionals;
  if (action === "key") return showKey(given, io);
  if (action === "issue") return issue(given, io);
  if (action === "check" && file !== undefined) return check(file, given, io);
  if (action === "revoke" && file !== undefined) return revoke(file, given, io);
  throw new UsageError("say what to do: key, issue, check <chain>, or revoke <chain>");
}

function showKey(given: Arguments, io: Io): number {
  io.out(`${JSON.stringify(formatPublicKey(readEnvelopeKey(given.required("key")).publicKey))}\n`);
  return EXIT.ok;
}

function issue(given: Arguments, io: Io): number {
  const before = given.text("parent");
  const chain = before === undefined ? [] : readChain(before);
  const last = chain.at(-1);
  const key = given.text("holder-key");
  const bytes = signMandate(
    {
      parent: last === undefined ? null : parseMandate(last).hash,
      holder: { ...partyOf(given, "holder"), key: key === undefined ? null : formatPublicKey(readPublicKey(key)) },
      scope: { tools: listOf(given, "tools"), resources: listOf(given, "resources") },
      not_before: timeOf(given.text("not-before")) ?? formatTimestamp(Date.now()),
      not_after: parseTimestamp(given.required("not-after")),
      depth: depthOf(given),
    },
    readEnvelopeKey(given.required("key")),
  );
  const texts = [...chain, bytes].map((mandate) => parseUtf8(mandate));
  writeNewFile(given.required("out"), `${JSON.stringify(texts, null, 2)}\n`, 0o644);
  io.out(`a chain of ${texts.length}, in ${given.required("out")}\n`);
  return EXIT.ok;
}

function check(file: string, given: Arguments, io: Io): number {
  const root = { ...partyOf(given, "root"), key: readPublicKey(given.required("root-key")) };
  const at = timeOf(given.text("at"));
  try {
    const chain = checkMandateChain(readChain(file), [root], at === undefined ? Date.now() : timestampMs(at));
    if (isRevoked(chain, revokedByKey(readLists(given)))) {
      throw new CheckError("ERR_MANDATE_REVOKED", "a mandate of the chain was taken back");
    }
    if (given.text("holder") !== undefined) checkHolder(chain, partyOf(given, "holder"));
    io.out(describe(chain));
    return EXIT.ok;
  } catch (error) {
    if (!(error instanceof Error) || !("code" in error) || !String(error.code).startsWith("ERR_MANDATE_")) throw error;
    io.out(`the chain does not hold: ${String(error.code)}: ${error.message}\n`);
    return EXIT.failed;
  }
}

/** The list of the key with one more mandate in it, and without those whose time is over. */
function revoke(file: string, given: Arguments, io: Io): number {
  const checked = readChain(file).map(parseMandate);
  const hop = Number(given.text("hop") ?? checked.length);
  const mandate = checked[hop - 1];
  if (mandate === undefined) throw new UsageError(`--hop: want 1 to ${checked.length}`);
  const signer = readEnvelopeKey(given.required("key"));
  const isIssuer = checked.slice(0, hop).some(({ issuerKey }) => issuerKey.kid === signer.publicKey.kid);
  if (!isIssuer) throw new UsageError("--key: want a key that issued this mandate or one before it");
  const path = given.required("list");
  const before = existsSync(path) ? parseRevocations(readBytes(path)) : undefined;
  if (before !== undefined && before.kid !== signer.publicKey.kid)
    throw new UsageError("--list: is the list of another key");
  const now = formatTimestamp(Date.now());
  const kept = (before?.revoked ?? []).filter(
    ({ mandate: known, not_after: end }) => end > now && known !== mandate.hash,
  );
  const revoked = [...kept, { mandate: mandate.hash, not_after: mandate.mandate.not_after }];
  const version = (before?.version ?? 0) + 1;
  replaceFile(path, signRevocations(version, revoked, signer), 0o644);
  io.out(`${mandate.hash} is taken back; version ${version} of the list names ${revoked.length}, in ${path}\n`);
  return EXIT.ok;
}

function readLists(given: Arguments): readonly CheckedRevocations[] {
  return (given.text("revocations")?.split(",") ?? []).map((path) => parseRevocations(readBytes(path)));
}

function describe({ root, hops }: MandateChain): string {
  const lines = hops.map(({ holder, scope, not_before, not_after, depth }) => {
    const what = [...scope.tools, ...scope.resources].join(", ");
    return `  → ${holder.issuer}|${holder.name}: ${what}; ${not_before} to ${not_after}; ${depth} more hops\n`;
  });
  return `the chain holds\n  ${root.issuer}|${root.name}\n${lines.join("")}`;
}

/** A chain as it is sent: a list of the mandates' texts. */
function readChain(path: string): readonly Uint8Array[] {
  return readJsonFile(path, (value) => readShape(array(string(), { min: 1, max: 8 }), value, "chain")).map(formatUtf8);
}

function readPublicKey(path: string): PublicKey {
  return readJsonFile(path, (value) => readShape(publicKeyShape, value, "key"));
}

function timeOf(text: string | undefined): Timestamp | undefined {
  return text === undefined ? undefined : parseTimestamp(text);
}

function depthOf(given: Arguments): number {
  const text = given.text("depth") ?? "0";
  if (!/^[0-8]$/u.test(text)) throw new FormatError("ERR_MANDATE", "--depth: want 0 to 8");
  return Number(text);
}

/** Makes and checks mandates. */
export const mandateCommand: Command = {
  name: "mandate",
  summary: "chains of mandates, by which one party lets another act",
  help: HELP,
  run,
};
