/**
 * The gateway that hosts are put behind: its own configuration, data folder and ports beside those of `setup`, with a
 * token for each host.
 */

import { existsSync } from "node:fs";
import { GATEWAY_DEFAULTS, parseGatewayConfig } from "../../gateway/config.ts";
import { formatUtf8 } from "../../kernel/bytes.ts";
import { FormatError } from "../../kernel/errors.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../../kernel/json/value.ts";
import { literal, object, record, type Shape, string } from "../../kernel/shape.ts";
import { DEFAULT_PORTS, type Layout, loopbackAddresses } from "../demo/layout.ts";
import { choosePorts } from "../demo/ports.ts";
import { isSetUp, setUp } from "../demo/setup.ts";
import { makeToken, readJsonFile, readToken, replaceFile, writeNewFile } from "../files.ts";
import { HOSTS, type Host } from "./hosts.ts";
import type { RemoteServer } from "./rewrite.ts";

/** What is planned of the gateway; nothing is written yet. */
export interface HostGateway {
  readonly config: string;
  /** `http://host:port` of the agents' listener. */
  readonly url: string;
  readonly ports: readonly [number, number];
  readonly token: (host: Host) => string;
  /** Ids of servers of earlier runs. */
  readonly ids: ReadonlyMap<string, string>;
}

const PORTS = [4110, 4111] as const;

type IdFile = { readonly v: 1; readonly servers: Readonly<Record<string, string>> };
const idShape: Shape<IdFile> = object<IdFile>({
  v: literal(1),
  servers: record(string({ maxLength: 64 }), { max: 4096 }),
});

/** Reads what is there, and chooses what is not. */
export async function planHostGateway(layout: Layout): Promise<HostGateway> {
  const config = layout.config("hosts");
  const [port = PORTS[0], operatorPort = PORTS[1]] = existsSync(config) ? portsOf(config) : await choosePorts(PORTS);
  const tokens = new Map(HOSTS.map((host) => [host, tokenOf(layout, host)]));
  return {
    config,
    url: `http://${GATEWAY_DEFAULTS.host}:${port}`,
    ports: [port, operatorPort],
    token: (host) => tokens.get(host) ?? "",
    ids: existsSync(idPath(layout)) ? readIds(layout) : new Map(),
  };
}

/**
 * Writes it: a whole topology if there is none, tokens, ids, and the configuration with the servers that it calls.
 *
 * @param remotes  servers that come to those of earlier runs
 * @throws {StoreError} ERR_FILE_WRITE
 */
export async function writeHostGateway(
  layout: Layout,
  gateway: HostGateway,
  remotes: readonly RemoteServer[],
  ids: ReadonlyMap<string, string>,
  origin: string,
): Promise<void> {
  if (!isSetUp(layout)) setUp(layout, loopbackAddresses(await choosePorts(DEFAULT_PORTS)), origin);
  for (const host of HOSTS) {
    if (!existsSync(tokenPath(layout, host))) writeNewFile(tokenPath(layout, host), `${gateway.token(host)}\n`, 0o600);
  }
  for (const { id, token } of remotes) {
    if (token !== undefined) replaceFile(serverTokenPath(layout, id), formatUtf8(`${token}\n`), 0o600);
  }
  replaceFile(idPath(layout), formatJson({ v: 1, servers: Object.fromEntries(ids) }), 0o600);
  const config = configOf(layout, gateway, remotes);
  parseGatewayConfig(config);
  replaceFile(gateway.config, formatJson(config), 0o644);
}

function configOf(layout: Layout, gateway: HostGateway, remotes: readonly RemoteServer[]): JsonObject {
  const [port, operatorPort] = gateway.ports;
  const { ledger, operator_token_file = layout.token("operator") } = readObject(layout.config("gateway"));
  const given = existsSync(gateway.config) ? readObject(gateway.config) : undefined;
  const added = remotes.map(({ id, url, token }): JsonObject => {
    return { id, url, ...(token === undefined ? {} : { bearer_token_file: serverTokenPath(layout, id) }) };
  });
  const ids = new Set(remotes.map(({ id }) => id));
  // What the operator changed in it since stays.
  return {
    listen: { host: GATEWAY_DEFAULTS.host, port },
    operator_listen: { host: GATEWAY_DEFAULTS.host, port: operatorPort },
    operator_token_file,
    data_dir: layout.data("hosts"),
    mode: "advisory",
    catalog: { pin: "first-use" },
    ...(ledger === undefined ? {} : { ledger }),
    auth: { tokens: HOSTS.map((host) => ({ principal: host, token_file: tokenPath(layout, host) })) },
    ...given,
    servers: [...serversOf(given).filter((server) => !hasId(server, ids)), ...added],
  };
}

function serversOf(config: JsonObject | undefined): readonly JsonValue[] {
  const servers = config?.["servers"];
  if (!Array.isArray(servers)) return [];
  const listed: readonly JsonValue[] = servers;
  return listed;
}

function hasId(server: JsonValue, ids: ReadonlySet<string>): boolean {
  return isJsonObject(server) && typeof server["id"] === "string" && ids.has(server["id"]);
}

function portsOf(path: string): readonly number[] {
  const { listen, operator_listen } = readJsonFile(path, parseGatewayConfig);
  return [listen?.port ?? GATEWAY_DEFAULTS.port, operator_listen?.port ?? GATEWAY_DEFAULTS.operatorPort];
}

function tokenOf(layout: Layout, host: Host): string {
  const path = tokenPath(layout, host);
  return existsSync(path) ? readToken(path) : makeToken();
}

function readIds(layout: Layout): ReadonlyMap<string, string> {
  return new Map(Object.entries(readJsonFile(idPath(layout), (value) => idShape.read(value, "servers")).servers));
}

function readObject(path: string): JsonObject {
  return readJsonFile(path, (value) => {
    if (isJsonObject(value)) return value;
    throw new FormatError("ERR_SHAPE", "want an object");
  });
}

function tokenPath(layout: Layout, host: Host): string {
  return layout.token(`host-${host}`);
}

function serverTokenPath(layout: Layout, id: string): string {
  return layout.token(`server-${id}`);
}

function idPath(layout: Layout): string {
  return layout.config("host-servers");
}

function formatJson(value: JsonValue): Uint8Array {
  return formatUtf8(`${JSON.stringify(value, null, 2)}\n`);
}
