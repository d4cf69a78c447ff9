/** `countersign erase`: destroys secrets at a running gateway, so that what they open can never be opened again. */

import { parseGatewayConfig } from "../../gateway/config.ts";
import { type Command, EXIT, readArguments, UsageError } from "../command.ts";
import { readJsonFile } from "../files.ts";
import type { Io } from "../io.ts";
import { operatorClient } from "../operator-client.ts";

const HELP = `countersign erase <target> --config <file> [--yes]

Destroys the secrets of receipts, and the messages that were kept under them. Their commitments can never be opened again;
the receipts, their proofs and every verdict about them stay. Without --yes it only says what would be erased.

  call:<stream>/<seq>       all rounds of a call, by one of its receipts
  session:<uuid>            the calls of a session
  data-subject:<value>      the calls whose arguments named this data subject, where the catalog declares it
  data-subject-hash:<hex>   the same, by the keyed hash that receipts have
  before:<time>             everything older, YYYY-MM-DDTHH:MM:SS.mmmZ

  --yes              erase; nothing brings it back
  --config <file>    the gateway's configuration
  --token-file <f>   an operator's own token; default: operator_token_file of the configuration
  --json             print the gateway's answer

Copies that backups, snapshots or a copying file system hold are not reached (docs/operations.md).
`;

const OPTIONS = {
  yes: { type: "boolean" },
  config: { type: "string" },
  "token-file": { type: "string" },
  json: { type: "boolean" },
} as const;

async function run(args: readonly string[], io: Io): Promise<number> {
  const given = readArguments(args, OPTIONS, 1);
  const [target] = given.positionals;
  if (target === undefined) throw new UsageError("name what to erase");
  const isDryRun = !given.flag("yes");
  const call = operatorClient(readJsonFile(given.required("config"), parseGatewayConfig), given.text("token-file"));
  const answer = await call("POST", "/vault/erase", { target, dry_run: isDryRun });
  if (given.flag("json")) {
    io.out(`${JSON.stringify(answer, null, 2)}\n`);
    return EXIT.ok;
  }
  const { receipts, open_calls: open } = answer;
  io.out(`${String(receipts)} receipts ${isDryRun ? "would lose" : "have lost"} their secrets\n`);
  if (open !== 0) io.out(`${String(open)} of their calls have not ended: what they bring is erased when they have\n`);
  if (isDryRun && receipts !== 0) io.out("nothing was erased; --yes erases\n");
  return EXIT.ok;
}

/** Erases secrets. */
export const eraseCommand: Command = {
  name: "erase",
  summary: "destroy the secrets of calls at a running gateway: nothing opens them again",
  help: HELP,
  run,
};
