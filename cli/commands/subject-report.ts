/** `countersign subject-report`: every call of a bundle that touched the data of one subject, and whether the list is complete. */

import { join } from "node:path";
import { makeKeyedNames } from "../../gateway/pipeline/keyed-names.ts";
import { parseUtf8 } from "../../kernel/bytes.ts";
import { parseHex } from "../../kernel/hex.ts";
import { type Hex64, hex64Shape } from "../../kernel/receipt/fields.ts";
import { readShape } from "../../kernel/shape.ts";
import { parseTrustPolicy } from "../../kernel/trust-policy.ts";
import { subjectReport } from "../../verifier/subject-report.ts";
import { type Arguments, type Command, readArguments, UsageError, VERDICT_EXITS } from "../command.ts";
import { readBytes, readJsonFile, writeNewFile } from "../files.ts";
import type { Io } from "../io.ts";

const HELP = `countersign subject-report <bundle> --trust <policy> (--subject <hash> | --value <text> --data <folder>) [--out <file>]

Every call of an evidence bundle whose receipt names one data subject: tool, decision, policy and how it ended, with counts and a
verdict about whether the list is complete for the gateways that the trust policy pins. JSON.

  --trust <file>    trust policy of whoever asks; each gateway of the declared scope is pinned in it
  --subject <hash>  the subject as receipts have it, 64 hexadecimal digits
  --value <text>    the value that names the subject, for whoever runs the gateway
  --data <folder>   the gateway's data folder, whose key makes the hash of --value
  --out <file>      write to a file instead of standard output

Exit: 0 the list is complete; 1 something that it rests on is false; 2 completeness is not established; 3 unusable input.
`;

const OPTIONS = {
  trust: { type: "string" },
  subject: { type: "string" },
  value: { type: "string" },
  data: { type: "string" },
  out: { type: "string" },
} as const;

async function run(args: readonly string[], io: Io): Promise<number> {
  const given = readArguments(args, OPTIONS, 1);
  const [path] = given.positionals;
  if (path === undefined) throw new UsageError("name the bundle file");
  const trust = readJsonFile(given.required("trust"), parseTrustPolicy);
  const report = subjectReport({ bundle: readBytes(path), trust }, subjectOf(given));
  const text = `${JSON.stringify(report, null, 2)}\n`;
  const out = given.text("out");
  if (out === undefined) io.out(text);
  else writeNewFile(out, text, 0o600);
  return VERDICT_EXITS[report.complete.verdict];
}

function subjectOf(given: Arguments): Hex64 {
  const [subject, value] = [given.text("subject"), given.text("value")];
  if ((subject === undefined) === (value === undefined)) throw new UsageError("want --subject or --value");
  if (subject !== undefined) return readShape(hex64Shape, subject, "--subject");
  const key = parseHex(parseUtf8(readBytes(join(given.required("data"), "caller.key"))).trim(), 32);
  return readShape(hex64Shape, makeKeyedNames(key).dataSubject(value ?? ""), "subject");
}

/** The report about one data subject. */
export const subjectReportCommand: Command = {
  name: "subject-report",
  summary: "list every call that touched one subject's data",
  help: HELP,
  run,
};
