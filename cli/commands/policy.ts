/** `countersign policy`: checks, tests and explains a policy bundle; drafts, signs and loads the sealed artifact over it. */

import { schemaSourcesOf } from "../../gateway/catalog/catalog.ts";
import { digestOf } from "../../gateway/catalog/digests.ts";
import { type GatewayConfig, parseGatewayConfig } from "../../gateway/config.ts";
import { type PolicyBundle, parseBundle } from "../../gateway/policy/bundle.ts";
import { makeEvaluator, type PolicyEvaluator } from "../../gateway/policy/evaluator.ts";
import { kindsOf } from "../../gateway/policy/obligations.ts";
import { differences, parseAsked, parseCases, questionFor } from "../../gateway/policy/policy-cases.ts";
import { formatBase64 } from "../../kernel/base64.ts";
import { FormatError } from "../../kernel/errors.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../../kernel/json/value.ts";
import { addSeal, parseArtifact } from "../../kernel/policy-artifact.ts";
import { digestFile } from "../../kernel/policy-manifest.ts";
import { addSessionSeal } from "../../kernel/session-artifact.ts";
import { pathInUse, readCatalogFile } from "../catalog/catalog-files.ts";
import { type Arguments, type Command, EXIT, readArguments, UsageError } from "../command.ts";
import { readBytes, readEnvelopeKey, readJsonFile, replaceFile, writeNewFile } from "../files.ts";
import { readBundle, readSessionArtifacts } from "../gateway-files.ts";
import type { Io } from "../io.ts";
import { operatorClient } from "../operator-client.ts";
import { draftArtifact } from "../policy/draft-artifact.ts";
import { draftSession } from "../policy/draft-session.ts";
import { renderExplanation, renderReceipt } from "../policy/explain.ts";

const HELP = `countersign policy <check | test | explain | draft | seal | reload> …

Works on a policy bundle (docs/policy.md) before it goes live, and on the sealed artifact that binds a gateway to it
(docs/formats/policy-artifact.md).

  check <dir> [--catalog <file>]
      reads the bundle as a gateway does: syntax, annotations, and with a catalog every policy against its tools, servers
      and attributes. Prints digest, version and policies
  test <dir> <cases.json> --catalog <file>
      asks the bundle each question of the file and compares the answers. Exit 1 if one differs
  explain <dir> <file> --catalog <file>
      explains the answer to a request, or the ruling of a decision receipt: the policies that determined it, their
      annotations and text, and for a request the facts of which one alone would have changed the answer
  draft --config <gateway.json> --out <file> [--days <n>]
      writes an unsigned artifact of what the configuration has now: bundle, catalog, servers, principals, mode, limits,
      quarantine
  draft --config <gateway.json> --agent <principal> [--session <source>:<id>] --out <file> [--days <n>]
      writes an unsigned session artifact of that agent, or of one session of it, as wide as the configured artifact: take
      away what it does not need (docs/formats/session-artifact.md)
  seal <file> --key <file>
      adds a signature, in place ("countersign keygen envelope" makes a key)
  reload --config <gateway.json> --sessions
      brings the configured session artifacts alone; with --artifact <file> beside that one, in one step
  reload --config <gateway.json> [--artifact <file>] [--catalog <file>]
      brings an artifact, the configured file if it is not given, and the policy's folder to the running gateway; with a
      signed catalog, if the artifact names another one: both take effect in one step

Exit: 0 done; 1 an answer differs from what a case wants; 3 unusable, or refused.
`;

const OPTIONS = {
  agent: { type: "string" },
  artifact: { type: "string" },
  catalog: { type: "string" },
  config: { type: "string" },
  days: { type: "string" },
  key: { type: "string" },
  out: { type: "string" },
  session: { type: "string" },
  sessions: { type: "boolean" },
} as const;

const ACTIONS: Readonly<Record<string, (given: Given, io: Io) => Promise<number>>> = {
  check: async (given, io) => Promise.resolve(check(given, io)),
  test: async (given, io) => Promise.resolve(test(given, io)),
  explain: async (given, io) => Promise.resolve(explain(given, io)),
  draft: async (given, io) => Promise.resolve(draft(given, io)),
  seal: async (given, io) => Promise.resolve(seal(given, io)),
  reload,
};

/** The arguments behind the action. */
interface Given extends Omit<Arguments, "positionals"> {
  readonly words: readonly string[];
}

const DEFAULT_DAYS = 30;
const MAX_DAYS = 3_650;

async function run(args: readonly string[], io: Io): Promise<number> {
  const { positionals, ...given } = readArguments(args, OPTIONS, 3);
  const [name = "", ...words] = positionals;
  const action = Object.hasOwn(ACTIONS, name) ? ACTIONS[name] : undefined;
  if (action === undefined) throw new UsageError(`say what to do: ${Object.keys(ACTIONS).join(", ")}`);
  return action({ ...given, words }, io);
}

function check(given: Given, io: Io): number {
  const [dir] = wordsOf(given, ["the bundle's folder"]);
  const bundle = parseBundle(readBundle(dir));
  const path = given.text("catalog");
  if (path !== undefined) evaluatorOver(bundle, path);
  io.out(`${bundle.digest}\nversion ${bundle.version}, ${bundle.policies.size} policies\n`);
  for (const { notes } of bundle.policies.values()) {
    const kinds = [...kindsOf(notes), ...(notes.advisory ? ["advisory"] : [])];
    io.out(`  ${notes.effect} ${notes.id}${kinds.length === 0 ? "" : ` (${kinds.join(", ")})`}\n`);
  }
  if (path === undefined) io.out("read without a catalog: whether its tools and attributes are there is not checked\n");
  return EXIT.ok;
}

function test(given: Given, io: Io): number {
  const [dir, cases] = wordsOf(given, ["the bundle's folder", "the file of cases"]);
  const evaluator = evaluatorOver(parseBundle(readBundle(dir)), given.required("catalog"));
  const list = readJsonFile(cases, parseCases);
  let failed = 0;
  for (const { name, request, expect } of list) {
    const found = differences(expect, evaluator.evaluate(questionFor(request)));
    if (found.length > 0) failed += 1;
    io.out(`${found.length === 0 ? "ok  " : "FAIL"} ${name}\n${found.map((line) => `     ${line}\n`).join("")}`);
  }
  io.out(`${list.length - failed} of ${list.length} as expected\n`);
  return failed === 0 ? EXIT.ok : EXIT.failed;
}

function explain(given: Given, io: Io): number {
  const [dir, path] = wordsOf(given, ["the bundle's folder", "a request or a decision receipt"]);
  const bundle = parseBundle(readBundle(dir));
  const value = readJsonFile(path, (read: JsonValue) => read);
  if (isJsonObject(value) && value["kind"] === "decision") io.out(renderReceipt(bundle, value));
  else io.out(renderExplanation(bundle, evaluatorOver(bundle, given.required("catalog")), parseAsked(value)));
  return EXIT.ok;
}

function draft(given: Given, io: Io): number {
  const config = readConfig(given);
  const days = daysOf(given);
  const agent = given.text("agent");
  if (agent !== undefined) return draftNarrower(given, io, { config, days, principal: agent });
  const catalog = pathInUse(config);
  if (catalog === undefined || config.policy === undefined) {
    throw new UsageError(
      "the configuration needs a policy's folder, and a catalog that is there: start the gateway once",
    );
  }
  const bundle = parseBundle(readBundle(config.policy.dir));
  const body = draftArtifact({ config, bundle, catalog: readCatalogFile(catalog).file, days, nowMs: Date.now() });
  const out = given.required("out");
  writeNewFile(out, `${JSON.stringify(body, null, 2)}\n`, 0o644);
  io.out(`version ${body.version} until ${body.not_after}\nin ${out}: nothing is bound by it until it is signed\n`);
  return EXIT.ok;
}

function draftNarrower(
  given: Given,
  io: Io,
  { config, days, principal }: { readonly config: GatewayConfig; readonly days: number; readonly principal: string },
): number {
  if (config.artifact === undefined) throw new UsageError("the configuration names no artifact to narrow");
  const outer = parseArtifact(readBytes(config.artifact.file));
  const body = draftSession({ outer, principal, session: given.text("session"), days, nowMs: Date.now() });
  const out = given.required("out");
  writeNewFile(out, `${JSON.stringify(body, null, 2)}\n`, 0o644);
  io.out(
    `version ${body.version} until ${body.not_after}\nin ${out}: as wide as the gateway's; narrow it, then sign it\n`,
  );
  return EXIT.ok;
}

function daysOf(given: Given): number {
  const days = Number(given.text("days") ?? DEFAULT_DAYS);
  if (!Number.isInteger(days) || days < 1 || days > MAX_DAYS) throw new UsageError(`--days: want 1 to ${MAX_DAYS}`);
  return days;
}

function seal(given: Given, io: Io): number {
  const [path] = wordsOf(given, ["the artifact's file"]);
  const value = readJsonFile(path, requireObject);
  const add = value["kind"] === "session-artifact" ? addSessionSeal : addSeal;
  const sealed = add(value, readEnvelopeKey(given.required("key")));
  replaceFile(path, sealed, 0o644);
  io.out(`signed: ${digestFile(sealed)}\n`);
  return EXIT.ok;
}

async function reload(given: Given, io: Io): Promise<number> {
  const config = readConfig(given);
  const withSessions = given.flag("sessions");
  if (withSessions && given.text("artifact") === undefined) return reloadSessions(config, io);
  const path = given.text("artifact") ?? config.artifact?.file;
  if (path === undefined || config.policy === undefined) {
    throw new UsageError("the configuration names no artifact and policy; give --artifact");
  }
  const files = readBundle(config.policy.dir).map((file) => ({ path: file.path, content: formatBase64(file.content) }));
  const catalog = given.text("catalog");
  const other = catalog === undefined ? {} : { catalog: formatBase64(readBytes(catalog)) };
  const sessions = withSessions ? { sessions: readSessionArtifacts(config).map((bytes) => formatBase64(bytes)) } : {};
  const body = { artifact: formatBase64(readBytes(path)), files, ...other, ...sessions };
  const answer = await operatorClient(config, undefined)("POST", "/policy", body);
  io.out(`in force: version ${String(answer["version"])}, ${String(answer["artifact"])}\n`);
  return EXIT.ok;
}

async function reloadSessions(config: GatewayConfig, io: Io): Promise<number> {
  const files = readSessionArtifacts(config);
  if (files.length === 0) throw new UsageError("the configuration names no session artifacts");
  const body = { sessions: files.map((bytes) => formatBase64(bytes)) };
  await operatorClient(config, undefined)("POST", "/policy", body);
  io.out(`in force: ${files.length} session artifacts\n${files.map((bytes) => `  ${digestFile(bytes)}\n`).join("")}`);
  return EXIT.ok;
}

function evaluatorOver(bundle: PolicyBundle, catalogPath: string): PolicyEvaluator {
  const { file } = readCatalogFile(catalogPath);
  return makeEvaluator(`${bundle.digest}/${digestOf(file)}`, bundle, schemaSourcesOf(file));
}

function requireObject(value: JsonValue): JsonObject {
  if (isJsonObject(value)) return value;
  throw new FormatError("ERR_SHAPE", "artifact: want an object");
}

function readConfig(given: Given): GatewayConfig {
  return readJsonFile(given.required("config"), parseGatewayConfig);
}

function wordsOf({ words }: Given, wanted: readonly string[]): readonly [string, string] {
  if (words.length !== wanted.length) throw new UsageError(`want ${wanted.join(" and ")}`);
  const [first = "", second = ""] = words;
  return [first, second];
}

/** Works on policies. */
export const policyCommand: Command = {
  name: "policy",
  summary: "check, test and explain a policy bundle; seal and load its artifact",
  help: HELP,
  run,
};
