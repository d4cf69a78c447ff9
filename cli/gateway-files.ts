/** What a gateway's configuration names files for: the policy bundle's folder, the catalog, tokens. */

import { type Dirent, readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseWebhookSecret } from "../gateway/approval/webhook.ts";
import type { GatewayConfig } from "../gateway/config.ts";
import type { GatewaySecrets } from "../gateway/options.ts";
import type { BundleFile } from "../gateway/policy/bundle.ts";
import { StoreError } from "../kernel/errors.ts";
import { readBytes, readLine, readToken } from "./files.ts";

/** Every token that the configuration names. @throws {FormatError} ERR_TOKEN_FILE @throws {StoreError} ERR_FILE_READ */
export function readSecrets(config: GatewayConfig): GatewaySecrets {
  return {
    submitToken: readToken(config.ledger.submit_token_file),
    operatorToken: readToken(config.operator_token_file),
    operators: (config.operators ?? []).map(({ name, roles = [], principals = [], token_file }) => {
      return { name, roles, principals, token: readToken(token_file) };
    }),
    agentTokens: config.auth.tokens.map(({ token_file, ...agent }) => ({ ...agent, token: readToken(token_file) })),
    bearerTokens: readBearerTokens(config),
    ...(config.approvals?.webhook === undefined
      ? {}
      : { webhookSecret: parseWebhookSecret(readLine(config.approvals.webhook.secret_file)) }),
    ...(config.envoy === undefined ? {} : { envoyToken: readToken(config.envoy.token_file) }),
  };
}

/** The tokens toward servers, by server id. @throws as `readSecrets` */
export function readBearerTokens({ servers }: Pick<GatewayConfig, "servers">): ReadonlyMap<string, string> {
  const bearers = servers.flatMap((server) =>
    server.transport === "http" && server.bearer_token_file !== undefined
      ? [[server.id, readToken(server.bearer_token_file)] as const]
      : [],
  );
  return new Map(bearers);
}

/**
 * Every file of a bundle's folder; what does not belong there refuses the bundle when it is parsed.
 *
 * @throws {StoreError} ERR_FILE_READ
 */
export function readBundle(dir: string): readonly BundleFile[] {
  const list = (folder: string, prefix: string): readonly BundleFile[] =>
    readFolder(folder).flatMap((entry) => {
      const path = `${prefix}${entry.name}`;
      if (entry.isDirectory()) return list(join(folder, entry.name), `${path}/`);
      return [{ path, content: readBytes(join(folder, entry.name)) }];
    });
  return list(resolve(dir), "");
}

/** Most files, and bytes of one, that are read of a folder of artifacts. */
const MAX_ARTIFACTS = 256;

/**
 * The files of a folder of sealed artifacts, as they are now. Names that begin with a dot are those of a mounted volume itself.
 *
 * @throws {StoreError} ERR_FILE_READ
 */
export function readSealedArtifacts(dir: string): readonly Uint8Array[] {
  return readFolder(dir)
    .filter((entry) => !entry.isDirectory() && !entry.name.startsWith("."))
    .slice(0, MAX_ARTIFACTS)
    .map(({ name }) => readBytes(join(dir, name)));
}

/**
 * The files of `artifact.sessions`: those that are listed, and those of the folder.
 *
 * @throws {StoreError} ERR_FILE_READ
 */
export function readSessionArtifacts({ artifact }: Pick<GatewayConfig, "artifact">): readonly Uint8Array[] {
  const { files = [], dir } = artifact?.sessions ?? {};
  return [...files.map(readBytes), ...(dir === undefined ? [] : readSealedArtifacts(dir))];
}

/** The bytes of `catalog.file`; undefined if the first use is pinned. */
export function readCatalog({ catalog }: GatewayConfig): Uint8Array | undefined {
  return catalog !== undefined && "file" in catalog ? readBytes(catalog.file) : undefined;
}

function readFolder(folder: string): readonly Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch (cause) {
    throw new StoreError("ERR_FILE_READ", `cannot read the folder ${folder}`, { cause });
  }
}
