/** `countersign catalog`: proposes, compares, shows, signs and loads the catalog of approved servers and definitions. */

import { checkApproval } from "../../gateway/catalog/catalog-approval.ts";
import { diffServers } from "../../gateway/catalog/catalog-diff.ts";
import { type CatalogEntry, pinServers, SIGNERS } from "../../gateway/catalog/catalog-file.ts";
import { digestOf } from "../../gateway/catalog/digests.ts";
import { formatStoredCatalog, proposeCatalog, signCatalog } from "../../gateway/catalog/proposal.ts";
import { approvalRule, type GatewayConfig, parseGatewayConfig } from "../../gateway/config.ts";
import { parseUtf8 } from "../../kernel/bytes.ts";
import { CheckError } from "../../kernel/errors.ts";
import { formatPublicKey } from "../../kernel/signature/public-key.ts";
import { pathInUse, readCatalogFile, readRevisedFile } from "../catalog/catalog-files.ts";
import { checkFindings, readOverrides, renderFindings } from "../catalog/findings.ts";
import { listServers } from "../catalog/list-servers.ts";
import { checkPublishers, renderPublishers } from "../catalog/publishers.ts";
import { reloadCatalog } from "../catalog/reload.ts";
import { renderCatalog, renderDiff } from "../catalog/render.ts";
import { type Arguments, type Command, EXIT, readArguments, UsageError } from "../command.ts";
import { readEnvelopeKey, readJsonFile, replaceFile, writeNewFile } from "../files.ts";
import type { Io } from "../io.ts";
import { makePaint } from "../paint.ts";

const HELP = `countersign catalog <pin | diff | show | approve | key | reload> …

The catalog says which servers and definitions are approved (docs/formats/catalog.md). A new one is proposed, compared,
signed by enough approvers, and then loaded; nothing is trusted before that.

  pin --config <gateway.json> --out <file> [--base <file>] [server…]
      asks the servers what they list now and proposes that as the next version of <base>, the catalog in use if it is not
      given; with names of servers, the others stay as they are
  diff --config <gateway.json> [--catalog <file>] [--json] [server…]
      what the servers list now against a catalog, the one in use if it is not given
  diff --catalog <file> --against <file> [--json]
      two catalogs, the second as the newer one. Both show each definition that differs with both digests, and each of its
      members; characters that show nothing are written as ⟨U+200B⟩. Exit 1 if there is a difference
  show <file> [--config <gateway.json>]
      what is in a catalog, its digests, overrides and signatures
  approve <file> --key <file> [--digest <digest>] [--config <gateway.json>]
          [--override <server>/<list>/<name>:<finding>]… [--name <approver> --reason <text>]
      signs a proposed catalog, in place. With --digest it signs only the one that was reviewed. A finding of the scanner
      that blocks is signed only with --override, by the first who signs; name and reason stand in the catalog. With
      --config nothing is signed while a server is not proven to be of the publisher that it must be of (pin, diff and show
      say so), and the exit is 1 if more signatures are wanted
  key --key <file> --name <approver>
      prints the member of "approvers" of a gateway's configuration for a key ("countersign keygen envelope" makes one)
  reload --config <gateway.json> [--catalog <file>]
      brings a signed catalog, the configured file if it is not given, to the running gateway

Exit: 0 done; 1 a difference, or not enough signatures; 3 unusable, or refused.
`;

const OPTIONS = {
  config: { type: "string" },
  out: { type: "string" },
  base: { type: "string" },
  catalog: { type: "string" },
  against: { type: "string" },
  json: { type: "boolean" },
  key: { type: "string" },
  name: { type: "string" },
  digest: { type: "string" },
  override: { type: "string", multiple: true },
  reason: { type: "string" },
} as const;

const ACTIONS: Readonly<Record<string, (given: Given, io: Io) => Promise<number>>> = {
  pin,
  diff,
  show,
  approve,
  key,
  reload,
};

/** The arguments behind the action. */
interface Given extends Omit<Arguments, "positionals"> {
  readonly words: readonly string[];
}

const MAX_WORDS = 129;

async function run(args: readonly string[], io: Io): Promise<number> {
  const { positionals, ...given } = readArguments(args, OPTIONS, MAX_WORDS);
  const [name = "", ...words] = positionals;
  const action = Object.hasOwn(ACTIONS, name) ? ACTIONS[name] : undefined;
  if (action === undefined) throw new UsageError(`say what to do: ${Object.keys(ACTIONS).join(", ")}`);
  return action({ ...given, words }, io);
}

async function pin(given: Given, io: Io): Promise<number> {
  const [config, out] = [readConfig(given), given.required("out")];
  const path = given.text("base") ?? pathInUse(config);
  const base = path === undefined ? undefined : readCatalogFile(path).file;
  const file = proposeCatalog(await listServers(config, given.words, io), base);
  writeNewFile(out, parseUtf8(formatStoredCatalog({ file, signatures: [] })), 0o644);
  io.out(renderDiff(diffServers(base?.servers ?? [], file.servers), makePaint(io.isColoured === true)));
  io.out(renderFindings(file, makePaint(io.isColoured === true)));
  io.out(renderPublishers(config, file));
  io.out(`\nproposed as version ${file.version}, ${digestOf(file)}\nin ${out}: not trusted until it is approved\n`);
  return EXIT.ok;
}

async function diff(given: Given, io: Io): Promise<number> {
  const { before, after, config } = await sidesOf(given, io);
  const diffs = diffServers(before, after);
  const publishers = config === undefined ? "" : renderPublishers(config, { servers: after });
  io.out(
    given.flag("json")
      ? `${JSON.stringify(diffs, null, 2)}\n`
      : `${renderDiff(diffs, makePaint(io.isColoured === true))}${publishers}`,
  );
  return diffs.length === 0 ? EXIT.ok : EXIT.failed;
}

interface Sides {
  readonly before: readonly CatalogEntry[];
  readonly after: readonly CatalogEntry[];
  /** Of the gateway whose servers are compared. */
  readonly config?: GatewayConfig;
}

async function sidesOf(given: Given, io: Io): Promise<Sides> {
  const against = given.text("against");
  if (against !== undefined) {
    const before = readCatalogFile(given.required("catalog")).file.servers;
    return { before, after: readCatalogFile(against).file.servers };
  }
  const config = readConfig(given);
  const path = given.text("catalog") ?? pathInUse(config);
  const all = path === undefined ? [] : readCatalogFile(path).file.servers;
  const before = all.filter(({ id }) => given.words.length === 0 || given.words.includes(id));
  return { before, after: pinServers(await listServers(config, given.words, io), SIGNERS), config };
}

async function show(given: Given, io: Io): Promise<number> {
  const config = given.text("config") === undefined ? undefined : readConfig(given);
  const rule = config === undefined ? undefined : approvalRule(config);
  const read = readCatalogFile(onlyWord(given, "the catalog's file"));
  const paint = makePaint(io.isColoured === true);
  io.out(renderCatalog(read, rule?.approvers ?? [], paint));
  io.out(renderFindings(read.file, paint));
  if (config !== undefined) io.out(renderPublishers(config, read.file));
  return Promise.resolve(EXIT.ok);
}

async function approve(given: Given, io: Io): Promise<number> {
  const path = onlyWord(given, "the catalog's file");
  const stored = readRevisedFile(path);
  const [found, wanted] = [digestOf(stored.file), given.text("digest")];
  if (wanted !== undefined && wanted !== found) {
    throw new CheckError("ERR_CATALOG_DIGEST", `${path} is ${found}, not the catalog that was reviewed`);
  }
  const overrides = readOverrides(given.texts("override"), given.text("name"), given.text("reason"));
  io.out(renderFindings(stored.file, makePaint(io.isColoured === true)));
  checkFindings(stored.file, overrides);
  const config = given.text("config") === undefined ? undefined : readConfig(given);
  if (config !== undefined) {
    io.out(renderPublishers(config, stored.file));
    checkPublishers(config, stored.file);
  }
  const signed = signCatalog(stored, readEnvelopeKey(given.required("key")), overrides);
  replaceFile(path, formatStoredCatalog(signed), 0o644);
  const { version } = signed.file;
  io.out(`signed version ${version}, ${digestOf(signed.file)}: ${signed.signatures.length} signatures\n`);
  return Promise.resolve(config === undefined ? EXIT.ok : sayWhetherApproved(signed, config, io));
}

/** Says what a gateway of this configuration makes of the catalog. */
function sayWhetherApproved(signed: Parameters<typeof checkApproval>[0], config: GatewayConfig, io: Io): number {
  const rule = approvalRule(config);
  if (rule === undefined) throw new UsageError("the configuration names no approvers");
  try {
    io.out(`approved by ${checkApproval(signed, rule).join(", ")}\n`);
    return EXIT.ok;
  } catch (error) {
    if (!(error instanceof CheckError)) throw error;
    io.out(`not approved yet: ${error.message}\n`);
    return EXIT.failed;
  }
}

async function key(given: Given, io: Io): Promise<number> {
  const name = given.required("name");
  const { publicKey } = readEnvelopeKey(given.required("key"));
  io.out(`${JSON.stringify({ name, key: formatPublicKey(publicKey) })}\n`);
  return Promise.resolve(EXIT.ok);
}

async function reload(given: Given, io: Io): Promise<number> {
  const config = readConfig(given);
  const path =
    given.text("catalog") ??
    (config.catalog !== undefined && "file" in config.catalog ? config.catalog.file : undefined);
  if (path === undefined) throw new UsageError("the configuration names no catalog file; give --catalog");
  const { version, digest, approvers } = await reloadCatalog(config, path);
  io.out(`in force: version ${version}, ${digest}, approved by ${approvers.join(", ")}\n`);
  return EXIT.ok;
}

function readConfig(given: Given): GatewayConfig {
  return readJsonFile(given.required("config"), parseGatewayConfig);
}

function onlyWord({ words }: Given, what: string): string {
  const [word, more] = words;
  if (word === undefined || more !== undefined) throw new UsageError(`want ${what}, and nothing else`);
  return word;
}

/** Works on catalogs. */
export const catalogCommand: Command = {
  name: "catalog",
  summary: "propose, compare, sign and load the catalog of approved servers",
  help: HELP,
  run,
};
