/** `countersign disclose`: opens chosen parts of receipts at a running gateway, into a file for whoever may see them. */

import { sha256 } from "#crypto";
import { parseGatewayConfig } from "../../gateway/config.ts";
import { formatBase64 } from "../../kernel/base64.ts";
import { parseBundle } from "../../kernel/bundle.ts";
import { formatUtf8 } from "../../kernel/bytes.ts";
import { parseDisclosure } from "../../kernel/disclosure.ts";
import { StoreError } from "../../kernel/errors.ts";
import { formatHex } from "../../kernel/hex.ts";
import { OPENED_MEMBERS } from "../../kernel/receipt/vocabulary.ts";
import { type Arguments, type Command, EXIT, readArguments, UsageError } from "../command.ts";
import { readBytes, readJsonFile, writeNewFile } from "../files.ts";
import type { Io } from "../io.ts";
import { operatorClient } from "../operator-client.ts";

const HELP = `countersign disclose (--receipt <stream>/<seq> … | --bundle <file>) --member <name> … --config <file> --out <file>

Opens what receipts committed to (docs/formats/disclosure.md). Whoever gets the file verifies it offline against the receipts:
countersign verify <bundle> --trust <policy> --disclosure <file>. The gateway writes a receipt of every disclosure.

  --receipt <ref>    a receipt; may be given more than once, of one stream
  --bundle <file>    every decision and outcome of the bundle instead, of one stream
  --member <name>    ${OPENED_MEMBERS.join(", ")}; more than once
  --field <pointer>  JSON Pointer of a field, or of a container whose fields are all opened; more than once
  --bytes            the exact bytes too: the whole message (tier 3)
  --payload <file>   the message, where the gateway did not keep it; for one receipt and one member
  --config <file>    the gateway's configuration
  --token-file <f>   an operator's own token; default: operator_token_file of the configuration
  --out <file>       where the disclosure is written; it must not be there yet

Exit: 0 something was opened; 2 nothing could be: erased, or not kept; 3 not possible.
`;

const OPTIONS = {
  receipt: { type: "string", multiple: true },
  bundle: { type: "string" },
  member: { type: "string", multiple: true },
  field: { type: "string", multiple: true },
  bytes: { type: "boolean" },
  payload: { type: "string" },
  config: { type: "string" },
  "token-file": { type: "string" },
  out: { type: "string" },
} as const;

async function run(args: readonly string[], io: Io): Promise<number> {
  const given = readArguments(args, OPTIONS);
  const out = given.required("out");
  const payload = given.text("payload");
  const call = operatorClient(readJsonFile(given.required("config"), parseGatewayConfig), given.text("token-file"));
  const answer = await call("POST", "/vault/disclose", {
    receipts: receiptsOf(given),
    members: membersOf(given),
    fields: given.texts("field"),
    ...(given.flag("bytes") ? { bytes: true } : {}),
    ...(payload === undefined ? {} : { payload: formatBase64(readBytes(payload)) }),
  });
  const { text, receipt, opened, erased, not_kept: notKept } = answer;
  if (typeof text !== "string") throw new StoreError("ERR_SERVICE_ANSWER", "the gateway's answer holds no disclosure");
  const bytes = formatUtf8(text);
  parseDisclosure(bytes);
  writeNewFile(out, text, 0o600);
  io.out(`${out}: ${String(opened)} opened, ${String(erased)} erased, ${String(notKept)} not kept\n`);
  io.out(`sha256:${formatHex(sha256(bytes))}, recorded in receipt ${String(receipt)}\n`);
  return opened === 0 ? EXIT.notEstablished : EXIT.ok;
}

function receiptsOf(given: Arguments): readonly string[] {
  const named = given.texts("receipt");
  const bundle = given.text("bundle");
  if (named.length > 0 === (bundle !== undefined)) throw new UsageError("want --receipt or --bundle");
  if (bundle === undefined) return named;
  const entries = parseBundle(readBytes(bundle)).logs.flatMap((log) => log.entries.map(({ entry }) => entry));
  return entries
    .filter(({ kind }) => kind === "decision" || kind === "outcome")
    .map(({ stream, seq }) => `${String(stream)}/${String(seq)}`);
}

function membersOf(given: Arguments): readonly string[] {
  const members = given.texts("member");
  if (members.length > 0) return members;
  throw new UsageError(`want --member: ${OPENED_MEMBERS.join(", ")}`);
}

/** Opens parts of receipts. */
export const discloseCommand: Command = {
  name: "disclose",
  summary: "open chosen fields of receipts at a running gateway, for offline verification",
  help: HELP,
  run,
};
