/** `countersign gateway`: the MCP endpoint that decides each call, and signs receipts of what it decided. */

import { type Dirent, readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { type GatewayConfig, parseGatewayConfig } from "../../gateway/config.ts";
import type { GatewaySecrets } from "../../gateway/options.ts";
import type { BundleFile } from "../../gateway/policy/bundle.ts";
import { startGateway } from "../../gateway/start.ts";
import { StoreError } from "../../kernel/errors.ts";
import type { JsonValue } from "../../kernel/json/value.ts";
import { type Command, readArguments } from "../command.ts";
import { readBytes, readJsonFile, readToken } from "../files.ts";
import type { Io } from "../io.ts";
import { makeLogger, runService } from "../service.ts";
import { packageVersion } from "../version.ts";

const HELP = `countersign gateway --config <file>

Runs a gateway: agents reach MCP servers through it and no other way; each call is decided by policy, and leaves a
decision receipt before it is sent and an outcome receipt before its answer goes back.

Agents:    POST <listen>/mcp and <listen>/s/<server>/mcp (Streamable HTTP), with their own bearer token.
Operators: <operator_listen>/status, /boundary, /catalog, /sessions/seal with the operator's token;
           /healthz, /readyz, /metrics without one.

Modes: "enforcing" refuses what policy or catalog denies; "advisory" (the default) and "silent" forward it and record
that it would have been denied. docs/gateway.md explains the configuration, docs/policy.md the policy bundle.
`;

async function run(args: readonly string[], io: Io): Promise<number> {
  const path = readArguments(args, { config: { type: "string" } }).required("config");
  const config = readJsonFile(path, parseGatewayConfig);
  if (config.mode === undefined) {
    io.err(
      'countersign gateway: mode advisory: denied calls are forwarded and recorded; "mode": "enforcing" refuses them\n',
    );
  }
  const start = (): ReturnType<typeof startGateway> =>
    startGateway({
      config,
      secrets: readSecrets(config),
      policyFiles: config.policy === undefined ? undefined : readBundle(config.policy.dir),
      catalogFile: readCatalog(config),
      agents: "http",
      software: { name: "countersign", version: packageVersion() },
      environment: io.env,
      logger: makeLogger("gateway", io),
    });
  return runService("gateway", start, io);
}

function readSecrets(config: GatewayConfig): GatewaySecrets {
  const bearers = config.servers.flatMap((server) =>
    server.transport === "http" && server.bearer_token_file !== undefined
      ? [[server.id, readToken(server.bearer_token_file)] as const]
      : [],
  );
  return {
    submitToken: readToken(config.ledger.submit_token_file),
    operatorToken: readToken(config.operator_token_file),
    agentTokens: config.auth.tokens.map(({ principal, token_file }) => ({ principal, token: readToken(token_file) })),
    bearerTokens: new Map(bearers),
  };
}

/** Every file of the folder, at most four levels deep; what does not belong in a bundle refuses it. */
function readBundle(dir: string): readonly BundleFile[] {
  const list = (folder: string, prefix: string): readonly BundleFile[] =>
    readFolder(folder).flatMap((entry) => {
      const path = `${prefix}${entry.name}`;
      if (entry.isDirectory()) return list(join(folder, entry.name), `${path}/`);
      return [{ path, content: readBytes(join(folder, entry.name)) }];
    });
  return list(resolve(dir), "");
}

function readFolder(folder: string): readonly Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch (cause) {
    throw new StoreError("ERR_FILE_READ", `cannot read the policy folder ${folder}`, { cause });
  }
}

function readCatalog({ catalog }: GatewayConfig): JsonValue | undefined {
  return catalog !== undefined && "file" in catalog ? readJsonFile(catalog.file, (value) => value) : undefined;
}

/** Runs a gateway. */
export const gatewayCommand: Command = { name: "gateway", summary: "run a gateway", help: HELP, run };
