/** `countersign workflow-token`: makes and checks the tokens by which a workflow lets an agent call in its name. */

import { randomBytes } from "node:crypto";
import { ACCESS_TOKEN_ALGS, parseJwks } from "../../gateway/identity/jwk-keys.ts";
import { KeySource } from "../../gateway/identity/key-source.ts";
import { type IssuedWorkflow, signWorkflowToken, workflowKeySet } from "../../gateway/identity/sign-workflow-token.ts";
import { MAX_TTL_SECONDS } from "../../gateway/identity/workflow-rules.ts";
import { checkWorkflowToken, isInTime, type WorkflowToken } from "../../gateway/identity/workflow-token.ts";
import { formatHex } from "../../kernel/hex.ts";
import { formatTimestamp } from "../../kernel/time.ts";
import { type Arguments, type Command, EXIT, readArguments, UsageError } from "../command.ts";
import { readBytes, readEnvelopeKey, readText, writeNewFile } from "../files.ts";
import type { Io } from "../io.ts";
import { listOf, partyOf } from "../scope-options.ts";

const HELP = `countersign workflow-token <keys | issue | check> …

For whoever runs a workflow: signs that an agent may call some tools in the workflow's name, for some time. The token is sent
with each call, in _meta["countersign/workflow-token"], and is worth nothing without its holder's own credential
(docs/formats/workflow-token.md).

  keys --key <file>…
      prints the public halves of secret keys ("countersign keygen envelope" makes them, ed25519 or es256) as the key set that
      jwks_file or jwks_url of auth.workflows.issuers names in a gateway's configuration
  issue --key <file> --issuer <issuer> --audience <audience> --holder <issuer>|<name> --workflow <id>
        [--tools <server>/<tool>,…] [--resources <server>/<URI>,…] [--ttl <seconds>] [--id <jti>] --out <file>
      signs a token and writes it to a file of mode 0600. --issuer and --audience are what the gateway's configuration says;
      --ttl is 600 by default, and no gateway takes a longer one than its max_ttl_seconds; --id is random by default
  check <token> --keys <file> --issuer <issuer> --audience <audience> [--max-ttl <seconds>] [--at <seconds>]
      checks signature, audience, form and time as a gateway does, whose rule for the longest life is ${MAX_TTL_SECONDS} seconds by default.
      What the workflow may do at most, whose call it is and whether the token was used are the gateway's own questions

Exit: 0 done; 1 the token does not hold; 3 unusable.
`;

const OPTIONS = {
  key: { type: "string", multiple: true },
  keys: { type: "string" },
  issuer: { type: "string" },
  audience: { type: "string" },
  holder: { type: "string" },
  workflow: { type: "string" },
  tools: { type: "string" },
  resources: { type: "string" },
  ttl: { type: "string" },
  "max-ttl": { type: "string" },
  id: { type: "string" },
  at: { type: "string" },
  out: { type: "string" },
} as const;

async function run(args: readonly string[], io: Io): Promise<number> {
  const given = readArguments(args, OPTIONS, 2);
  const [action, file] = given.positionals;
  if (action === "keys") return showKeys(given, io);
  if (action === "issue") return issue(given, io);
  if (action === "check" && file !== undefined) return check(file, given, io);
  throw new UsageError("say what to do: keys, issue, or check <token>");
}

function showKeys(given: Arguments, io: Io): number {
  const keys = keyFiles(given).map((path) => readEnvelopeKey(path).publicKey);
  io.out(`${JSON.stringify(workflowKeySet(keys), null, 2)}\n`);
  return EXIT.ok;
}

function issue(given: Arguments, io: Io): number {
  const [key = "", ...more] = keyFiles(given);
  if (more.length > 0) throw new UsageError("--key: want one key to sign with");
  const now = Math.floor(Date.now() / 1000);
  const claims: IssuedWorkflow = {
    iss: given.required("issuer"),
    aud: given.required("audience"),
    jti: given.text("id") ?? formatHex(new Uint8Array(randomBytes(16))),
    iat: now,
    exp: now + secondsOf(given, "ttl", 600),
    holder: partyOf(given, "holder"),
    workflow: { id: given.required("workflow"), tools: listOf(given, "tools"), resources: listOf(given, "resources") },
  };
  writeNewFile(given.required("out"), `${signWorkflowToken(claims, readEnvelopeKey(key))}\n`, 0o600);
  io.out(`${claims.jti}, until ${formatTimestamp(claims.exp * 1000)}, in ${given.required("out")}\n`);
  return EXIT.ok;
}

async function check(file: string, given: Arguments, io: Io): Promise<number> {
  const issuer = given.required("issuer");
  const token = readText(file).trimEnd();
  const checked = await checkWorkflowToken(token, {
    issuers: new Map([[issuer, await readKeys(given.required("keys"), issuer, io)]]),
    audience: given.required("audience"),
    maxTtlMs: secondsOf(given, "max-ttl", MAX_TTL_SECONDS) * 1000,
  });
  const nowMs = secondsOf(given, "at", Math.floor(Date.now() / 1000)) * 1000;
  const answer = typeof checked === "string" || isInTime(checked, nowMs, 0) ? checked : "workflow.expired";
  io.out(typeof answer === "string" ? `the token does not hold: ${answer}\n` : describe(answer));
  return typeof answer === "string" ? EXIT.failed : EXIT.ok;
}

/** Keys of a file that is read once. A set that is none is told here: a source would only say that it has no keys. */
async function readKeys(path: string, issuer: string, io: Io): Promise<KeySource> {
  const bytes = readBytes(path);
  await parseJwks(bytes, ACCESS_TOKEN_ALGS);
  return new KeySource({
    issuer,
    algs: ACCESS_TOKEN_ALGS,
    load: () => Promise.resolve(bytes),
    nowMs: () => 0,
    floorMs: 1,
    maxAgeMs: 1,
    logger: { info: ignore, warn: (_, message) => io.err(`${message}\n`), error: ignore },
  });
}

function ignore(): void {}

function describe({ holder, scope, fromMs, untilMs }: WorkflowToken): string {
  const what = [...scope.tools, ...scope.resources].join(", ");
  const times = `${formatTimestamp(fromMs)} to ${formatTimestamp(untilMs)}`;
  return `the token holds\n  ${holder.issuer}|${holder.name} in workflow ${scope.id}: ${what}; ${times}\n`;
}

function keyFiles(given: Arguments): readonly string[] {
  const files = given.texts("key");
  if (files.length === 0) throw new UsageError("--key is required");
  return files;
}

function secondsOf(given: Arguments, option: string, otherwise: number): number {
  const text = given.text(option);
  if (text === undefined) return otherwise;
  if (!/^\d{1,12}$/u.test(text)) throw new UsageError(`--${option}: want whole seconds`);
  return Number(text);
}

/** Makes and checks workflow tokens. */
export const workflowTokenCommand: Command = {
  name: "workflow-token",
  summary: "tokens by which a workflow lets an agent call in its name",
  help: HELP,
  run,
};
