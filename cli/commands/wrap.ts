/** `countersign wrap`: one stdio server behind a gateway on standard input and output, as a host starts a server. */

import { existsSync } from "node:fs";
import { userInfo } from "node:os";
import { dirname, join } from "node:path";
import { PINNED_CATALOG } from "../../gateway/catalog/approved-catalog.ts";
import { type GatewayConfig, parseGatewayConfig } from "../../gateway/config.ts";
import { declaredEgress } from "../../gateway/egress/egress-config.ts";
import { type EgressGuard, installEgressGuard } from "../../gateway/egress/egress-guard.ts";
import { EgressRules } from "../../gateway/egress/egress-rules.ts";
import type { GatewayOptions } from "../../gateway/options.ts";
import { serveStdio } from "../../gateway/stdio.ts";
import { isCodedError } from "../../kernel/errors.ts";
import { MODES, type Mode } from "../../kernel/receipt/vocabulary.ts";
import { type Arguments, type Command, EXIT, readArguments, UsageError } from "../command.ts";
import { readBytes, readJsonFile, readToken } from "../files.ts";
import { readBundle } from "../gateway-files.ts";
import type { Io } from "../io.ts";
import { makeLogger, stopRequested } from "../service.ts";
import { packageVersion } from "../version.ts";

const HELP = `countersign wrap --config <file> [--id <id>] [--mode <mode>] [--policy <dir>] [--catalog <file>] [--data <folder>] [--env <names>] [--inherit-env] -- <command> [args…]

Starts one MCP server over stdio and stands before it on standard input and output, where a host expects a server:
put these words in front of the server's command in the host's configuration ("countersign init" does). Every call leaves
receipts.

  --config <file>   a gateway's configuration; its ledger, intervals, outbox, egress and approvers are used, and nothing else of it
  --id <id>         the server's name in receipts and policies: 1 to 24 of a-z, 0-9 and "-"; default "server"
  --mode <mode>     enforcing, advisory (the default) or silent
  --policy <dir>    a policy bundle (docs/policy.md); without it what the catalog has is permitted. "enforcing" needs one
  --catalog <file>  an approved catalog, signed by the configuration's approvers if it names some; without it what the server
                    listed at the first start is pinned. "enforcing" needs one, or --first-use
  --data <folder>   keys and receipts of one process; default: wrap/<id> beside the gateway's own data folder, and
                    wrap/<id>.2 and so on for further processes at the same time
  --command-args <text>  the command and its arguments in one text, for hosts that make one text of all arguments

  --env <names>     variables that the server gets from the environment of wrap, separated by commas: GITHUB_TOKEN,DEBUG
  --inherit-env     the server gets all of that environment (but not NODE_TLS_REJECT_UNAUTHORIZED=0, which no command heeds)

Without these the server gets PATH, HOME, LANG, LC_*, TZ, TMPDIR and SystemRoot only. Standard output carries protocol and nothing else.
`;

const DEFAULT_ID = "server";
const ID = /^[a-z0-9][a-z0-9-]{0,23}$/;
const VARIABLE = /^[A-Za-z_][A-Za-z0-9_()]*$/;
const MAX_WORDS = 257;

async function run(args: readonly string[], io: Io): Promise<number> {
  const text = { type: "string" } as const;
  const flag = { type: "boolean" } as const;
  const named = { config: text, id: text, mode: text, policy: text, catalog: text, data: text, env: text };
  const options = { ...named, "command-args": text, "first-use": flag, "inherit-env": flag };
  const given = readArguments(args, options, MAX_WORDS);
  const [command, ...words] = commandWords(given);
  if (command === undefined) throw new UsageError('want the server\'s command behind "--"');
  const mode = readMode(given);
  checkEnforcing(given, mode);
  const base = readJsonFile(given.required("config"), parseGatewayConfig);
  const wrapped = { id: readId(given), mode, command, words, env: readEnvironment(given, io.env) };
  const stop = new AbortController();
  void stopRequested().then(() => stop.abort());
  const side = { input: process.stdin, output: process.stdout, user: userInfo().username, signal: stop.signal };
  const [first = "", ...others] = foldersOf(base, given, wrapped.id);
  const guard = guardOf(wrapConfig(base, given, { ...wrapped, folder: first, first }), io);
  await serveInFreeFolder([first, ...others], (folder) =>
    serveStdio({ ...optionsOf(base, given, io, { ...wrapped, folder, first }), ...guard }, side),
  );
  // The host closed its end: whatever still holds the event loop, such as a half-open standard input, is not waited for.
  process.stdin.destroy();
  return EXIT.ok;
}

/** The words behind `--`, or those of `--command-args`, for hosts that make one text of all arguments. */
function commandWords(given: Arguments): readonly string[] {
  const line = given.text("command-args");
  if (line === undefined) return given.positionals;
  if (given.positionals.length > 0)
    throw new UsageError('want the command in --command-args or behind "--", not in both');
  return splitWords(line);
}

/**
 * Splits a line as a shell would, without any of its expansions: quotes, and a backslash outside of single quotes.
 *
 * @throws {UsageError} if a quote is not closed
 */
export function splitWords(line: string): readonly string[] {
  const words: string[] = [];
  const word = /\s*((?:[^\s"'\\]|\\[\s\S]|"(?:[^"\\]|\\[\s\S])*"|'[^']*')+)(?=\s|$)/uy;
  while (word.lastIndex < line.trimEnd().length) {
    const [, raw] = word.exec(line) ?? [];
    if (raw === undefined) throw new UsageError("--command-args: a quote or a backslash is not closed");
    words.push(raw.replace(/\\([\s\S])|"((?:[^"\\]|\\[\s\S])*)"|'([^']*)'/gu, unquoted));
  }
  return words;
}

function unquoted(_whole: string, escaped?: string, double?: string, single?: string): string {
  return escaped ?? single ?? (double ?? "").replace(/\\([\s\S])/gu, "$1");
}

function checkEnforcing(given: Arguments, mode: Mode): void {
  if (mode !== "enforcing") return;
  if (given.text("policy") === undefined) throw new UsageError("--mode enforcing needs --policy");
  if (given.text("catalog") === undefined && !given.flag("first-use")) {
    throw new UsageError("--mode enforcing needs an approved --catalog, or --first-use");
  }
}

const MAX_FOLDERS = 64;

/** The data folders of one server, one for each process that wraps it at a time: hosts start a server more than once. */
function foldersOf(base: GatewayConfig, given: Arguments, id: string): readonly string[] {
  const data = given.text("data");
  if (data !== undefined) return [data];
  const first = join(dirname(base.data_dir), "wrap", id);
  return Array.from({ length: MAX_FOLDERS }, (_, index) => (index === 0 ? first : `${first}.${index + 1}`));
}

/** Serves in the first folder that no other process has. @throws {StoreError} ERR_FOLDER_LOCKED if there is none */
async function serveInFreeFolder(folders: readonly string[], serve: (folder: string) => Promise<void>): Promise<void> {
  for (const folder of folders) {
    try {
      return await serve(folder);
    } catch (error) {
      const isTaken = isCodedError(error) && error.code === "ERR_FOLDER_LOCKED";
      if (!isTaken || folder === folders.at(-1)) throw error;
    }
  }
}

/** From here on the process connects to the ledger and to what else the configuration declares, and starts this one server. */
function guardOf(config: GatewayConfig, io: Io): { readonly egress?: EgressGuard } {
  if (config.egress?.guard === "off") return {};
  return { egress: installEgressGuard(new EgressRules(declaredEgress(config), io.env["PATH"] ?? "")) };
}

interface Wrapped {
  readonly id: string;
  readonly mode: Mode;
  readonly command: string;
  readonly words: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly folder: string;
  /** The first folder of this server: what was pinned there holds in the others too. */
  readonly first: string;
}

function optionsOf(base: GatewayConfig, given: Arguments, io: Io, wrapped: Wrapped): GatewayOptions {
  const policyDir = given.text("policy");
  return {
    config: wrapConfig(base, given, wrapped),
    secrets: {
      submitToken: readToken(base.ledger.submit_token_file),
      operatorToken: "",
      agentTokens: [],
      bearerTokens: new Map(),
    },
    policyFiles: policyDir === undefined ? undefined : readBundle(policyDir),
    catalogFile: readWrapCatalog(given, wrapped),
    agents: "stdio",
    software: { name: "countersign", version: packageVersion() },
    environment: io.env,
    logger: makeLogger("wrap", io),
  };
}

function readWrapCatalog(given: Arguments, { folder, first }: Wrapped): Uint8Array | undefined {
  const path = given.text("catalog");
  if (path !== undefined) return readBytes(path);
  const pinned = join(first, PINNED_CATALOG);
  return folder !== first && existsSync(pinned) ? readBytes(pinned) : undefined;
}

/** Ledger, intervals, outbox and approvers of the gateway's configuration; server, mode and folder of this run. */
function wrapConfig(
  base: GatewayConfig,
  given: Arguments,
  { id, mode, folder, command, words, env }: Wrapped,
): GatewayConfig {
  const { policy: _, catalog, ...rest } = base;
  const file = given.text("catalog");
  const approved =
    file === undefined || catalog === undefined || "pin" in catalog ? {} : { catalog: { ...catalog, file } };
  return {
    ...rest,
    ...approved,
    data_dir: folder,
    mode,
    servers: [{ transport: "stdio", id, command, args: words, env, attributes: {} }],
    auth: { tokens: [] },
  };
}

/**
 * What the server gets beyond the few variables of every child (gateway/upstream/child.ts). A host hands its whole
 * environment on, secrets of other programs included: nothing of it goes further unless it is named.
 *
 * @throws {UsageError} for a name that is none, or that is not set
 */
export function readEnvironment(given: Pick<Arguments, "text" | "flag">, env: Io["env"]): Record<string, string> {
  const names = given.flag("inherit-env") ? Object.keys(env) : (given.text("env")?.split(",") ?? []);
  return Object.fromEntries(
    names.flatMap((name): readonly (readonly [string, string])[] => {
      const value = env[name];
      if (given.flag("inherit-env")) return value === undefined ? [] : [[name, value]];
      if (!VARIABLE.test(name)) throw new UsageError(`--env: "${name}" is no name of a variable`);
      if (value === undefined) throw new UsageError(`--env: ${name} is not set`);
      return [[name, value]];
    }),
  );
}

function readId(given: Arguments): string {
  const id = given.text("id") ?? DEFAULT_ID;
  if (!ID.test(id)) throw new UsageError('--id: want 1 to 24 of a-z, 0-9 and "-"');
  return id;
}

function readMode(given: Arguments): Mode {
  const text = given.text("mode") ?? "advisory";
  const mode = MODES.find((known) => known === text);
  if (mode === undefined) throw new UsageError(`--mode: want ${MODES.join(", ")}`);
  return mode;
}

/** Wraps a server. */
export const wrapCommand: Command = {
  name: "wrap",
  summary: "one stdio server behind a gateway on stdio",
  help: HELP,
  run,
};
