/** `countersign wrap`: one stdio server behind a gateway on standard input and output, as a host starts a server. */

import { userInfo } from "node:os";
import { dirname, join } from "node:path";
import { type GatewayConfig, parseGatewayConfig } from "../../gateway/config.ts";
import { serveStdio } from "../../gateway/stdio.ts";
import { MODES, type Mode } from "../../kernel/receipt/vocabulary.ts";
import { type Arguments, type Command, EXIT, readArguments, UsageError } from "../command.ts";
import { readJsonFile, readToken } from "../files.ts";
import { readBundle } from "../gateway-files.ts";
import type { Io } from "../io.ts";
import { makeLogger, stopRequested } from "../service.ts";
import { packageVersion } from "../version.ts";

const HELP = `countersign wrap --config <file> [--id <id>] [--mode <mode>] [--policy <dir>] [--data <folder>] [--env <names>] [--inherit-env] -- <command> [args…]

Starts one MCP server over stdio and stands before it on standard input and output, where a host expects a server:
put these words in front of the server's command in the host's configuration. Every call leaves receipts.

  --config <file>   a gateway's configuration; its ledger, intervals and outbox are used, and nothing else of it
  --id <id>         the server's name in receipts and policies: 1 to 24 of a-z, 0-9 and "-"; default "server"
  --mode <mode>     enforcing, advisory (the default) or silent
  --policy <dir>    a policy bundle (docs/policy.md); without it what the server listed at the first start is permitted.
                    "enforcing" needs one
  --data <folder>   keys and receipts; default: wrap/<id> beside the gateway's own data folder. One process a folder

  --env <names>     variables that the server gets from the environment of wrap, separated by commas: GITHUB_TOKEN,DEBUG
  --inherit-env     the server gets all of that environment

Without these the server gets PATH, HOME, LANG, LC_*, TZ, TMPDIR and SystemRoot only. Standard output carries protocol and nothing else.
`;

const DEFAULT_ID = "server";
const ID = /^[a-z0-9][a-z0-9-]{0,23}$/;
const VARIABLE = /^[A-Za-z_][A-Za-z0-9_()]*$/;
const MAX_WORDS = 257;

async function run(args: readonly string[], io: Io): Promise<number> {
  const text = { type: "string" } as const;
  const options = { config: text, id: text, mode: text, policy: text, data: text, env: text };
  const given = readArguments(args, { ...options, "inherit-env": { type: "boolean" } }, MAX_WORDS);
  const [command, ...words] = given.positionals;
  if (command === undefined) throw new UsageError('want the server\'s command behind "--"');
  const mode = readMode(given);
  const policyDir = given.text("policy");
  if (mode === "enforcing" && policyDir === undefined) throw new UsageError("--mode enforcing needs --policy");
  const base = readJsonFile(given.required("config"), parseGatewayConfig);
  const stop = new AbortController();
  void stopRequested().then(() => stop.abort());
  await serveStdio(
    {
      config: wrapConfig(base, {
        id: readId(given),
        mode,
        data: given.text("data"),
        command,
        words,
        env: readEnvironment(given, io.env),
      }),
      secrets: {
        submitToken: readToken(base.ledger.submit_token_file),
        operatorToken: "",
        agentTokens: [],
        bearerTokens: new Map(),
      },
      policyFiles: policyDir === undefined ? undefined : readBundle(policyDir),
      catalogFile: undefined,
      agents: "stdio",
      software: { name: "countersign", version: packageVersion() },
      environment: io.env,
      logger: makeLogger("wrap", io),
    },
    { input: process.stdin, output: process.stdout, user: userInfo().username, signal: stop.signal },
  );
  // The host closed its end: whatever still holds the event loop, such as a half-open standard input, is not waited for.
  process.stdin.destroy();
  return EXIT.ok;
}

interface Wrapped {
  readonly id: string;
  readonly mode: Mode;
  readonly data: string | undefined;
  readonly command: string;
  readonly words: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/** Ledger, intervals and outbox of the gateway's configuration; server, mode and folder of this run. */
function wrapConfig(base: GatewayConfig, { id, mode, data, command, words, env }: Wrapped): GatewayConfig {
  const { policy: _, catalog: __, ...rest } = base;
  return {
    ...rest,
    data_dir: data ?? join(dirname(base.data_dir), "wrap", id),
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
