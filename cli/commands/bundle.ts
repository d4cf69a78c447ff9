/** `countersign bundle`: a window of a stream, collected from a ledger into one file that is verified offline. */

import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { parseUtf8 } from "../../kernel/bytes.ts";
import { parseDecimal } from "../../kernel/decimal.ts";
import { FormatError, StoreError } from "../../kernel/errors.ts";
import { sessionIdShape } from "../../kernel/receipt/identity.ts";
import { parseKid } from "../../kernel/signature/public-key.ts";
import { formatTimestamp } from "../../kernel/time.ts";
import { collectBundle } from "../collect.ts";
import { type Arguments, type Command, EXIT, readArguments, UsageError } from "../command.ts";
import { readBytes, readToken, writeNewFile } from "../files.ts";
import type { Io } from "../io.ts";
import { makeProgress } from "../progress.ts";
import type { WindowWish } from "../stream-scan.ts";

const HELP = `countersign bundle --ledger <url> --token-file <file> --witness-policy <file> --stream <id> --out <file>
                   [--from <seq>] [--to <seq>] [--session <id>] [--policy <folder>] [--catalog <file>]

Collects receipts of one gateway's stream from a ledger, proves each of them under the newest witnessed checkpoint,
and writes an evidence bundle. "countersign verify" judges it offline.

  --ledger <url>           the ledger's address, for example http://127.0.0.1:4200
  --token-file <file>      a reader's token of the ledger
  --witness-policy <file>  C2SP tlog-policy that names the log and its witnesses; the checkpoint must pass under it
  --stream <id>            the gateway's stream: 64 hexadecimal digits, as "countersign gateway" prints at start
  --from <seq>, --to <seq> first and last receipt, both included; default: from 0, to the newest witnessed one
  --session <id>           instead of --from and --to: from the session's opening to its seal
  --policy <folder>        disclose the policy: policy.json and *.cedar, as the gateway loaded them
  --catalog <file>         disclose the catalog
  --out <file>             the bundle; an existing file is never replaced

The stream's registration, its first receipt and the loads of policy and catalog in force are added by themselves.
Receipts hold no payloads. Policy and catalog are disclosed only if they are named here.

Exit: 0 written; 3 unusable input, a ledger that cannot be read, or receipts that are not witnessed yet.
`;

const OPTIONS = {
  ledger: { type: "string" },
  "token-file": { type: "string" },
  "witness-policy": { type: "string" },
  stream: { type: "string" },
  from: { type: "string" },
  to: { type: "string" },
  session: { type: "string" },
  policy: { type: "string" },
  catalog: { type: "string" },
  out: { type: "string" },
} as const;

async function run(args: readonly string[], io: Io): Promise<number> {
  const given = readArguments(args, OPTIONS);
  const out = resolve(io.cwd, given.required("out"));
  // Found out before the work, not behind it; writing refuses again.
  if (existsSync(out)) throw new StoreError("ERR_FILE_WRITE", `cannot write ${out}: it exists already`);
  const [policyFolder, catalogFile] = [given.text("policy"), given.text("catalog")];
  const progress = makeProgress("collecting", io, () => performance.now());
  try {
    const bundle = await collectBundle({
      ...readWish(given),
      ledgerUrl: readUrl(given.required("ledger")),
      readerToken: readToken(given.required("token-file")),
      witnessPolicy: parseUtf8(readBytes(given.required("witness-policy"))),
      stream: parseKid(given.required("stream")),
      created: formatTimestamp(Date.now()),
      onProgress: progress.update,
      ...(policyFolder === undefined ? {} : { policyFolder }),
      ...(catalogFile === undefined ? {} : { catalogFile }),
    });
    progress.end();
    writeNewFile(out, parseUtf8(bundle), 0o644);
    io.out(`${out}: ${bundle.length} bytes\n`);
    return EXIT.ok;
  } finally {
    progress.end();
  }
}

function readUrl(text: string): string {
  const isUrl = URL.canParse(text) && /^https?:$/u.test(new URL(text).protocol);
  if (!isUrl) throw new UsageError(`--ledger: want an http or https address, got "${text}"`);
  return text;
}

function readWish(given: Arguments): WindowWish {
  const session = given.text("session");
  const lastSeq = readSeq(given, "to");
  if (session === undefined) {
    return { firstSeq: readSeq(given, "from") ?? 0, ...(lastSeq === undefined ? {} : { lastSeq }) };
  }
  if (given.text("from") !== undefined || lastSeq !== undefined) {
    throw new UsageError("give either --session or --from and --to");
  }
  return { session: sessionIdShape.read(session, "--session") };
}

function readSeq(given: Arguments, name: string): number | undefined {
  const text = given.text(name);
  if (text === undefined) return undefined;
  const seq = Number(parseDecimal(text));
  if (!Number.isSafeInteger(seq)) throw new FormatError("ERR_DECIMAL", `--${name}: the number is too large`);
  return seq;
}

/** Makes bundles. */
export const bundleCommand: Command = {
  name: "bundle",
  summary: "collect an evidence bundle from a ledger",
  help: HELP,
  run,
};
