/** Makes a whole topology: keys, tokens, witness policy, one configuration file a service. Never replaces a file. */

import { randomBytes } from "node:crypto";
import { cpSync, existsSync, mkdirSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { StoreError } from "../../kernel/errors.ts";
import { formatSignerKey, makeSignerKey, type SignerKey } from "../../kernel/note/signer-key.ts";
import { formatVerifierKey } from "../../kernel/note/verifier-key.ts";
import { formatSecretKey } from "../../kernel/signature/secret-key.ts";
import { makeToken, writeNewFile } from "../files.ts";
import { packageRoot } from "../package-root.ts";
import { type Addresses, type Layout, urlOf, WITNESSES } from "./layout.ts";

const TOKENS = ["submit", "read", "agent", "operator", "ledger-operator"] as const;
const HEARTBEAT_SECONDS = 60;
const SESSION_TTL_SECONDS = 1_800;
const MAX_OUTBOX_RECEIPTS = 100_000;

/** Public halves of what a setup made. */
interface MadeKeys {
  readonly logKeys: readonly string[];
  readonly witnessKeys: readonly string[];
}

/** True if a setup was completed in this folder: its last file is there. */
export function isSetUp(layout: Layout): boolean {
  return existsSync(layout.config("gateway"));
}

/**
 * Writes keys and tokens (mode 0600) and the configuration of every service.
 *
 * @param origin  the log's identity line
 * @throws {StoreError} ERR_FILE_WRITE where a file exists already: a half-made setup is removed by hand, never overwritten
 */
export function setUp(layout: Layout, addresses: Addresses, origin: string): void {
  const keys = makeKeys(layout, origin);
  for (const name of TOKENS) writeNewFile(layout.token(name), `${makeToken()}\n`, 0o600);
  const policy = formatPolicy(keys, addresses);
  writeNewFile(layout.witnessPolicy, policy, 0o644);
  copyExamplePolicy(layout);
  addresses.witnesses.forEach((address, index) => {
    writeConfig(layout, `witness-${index + 1}`, witnessConfig(layout, index, address, origin, keys));
  });
  writeConfig(layout, "ledger", ledgerConfig(layout, addresses, policy, origin));
  writeConfig(layout, "api", apiConfig(layout, addresses, policy));
  writeConfig(layout, "gateway", gatewayConfig(layout, addresses, policy, origin));
}

function makeKeys(layout: Layout, origin: string): MadeKeys {
  const logKeys = [makeNoteKey(layout, "log", origin, 0x01), makeNoteKey(layout, "log-ml-dsa-44", origin, 0x06)];
  const operator = { alg: "ed25519", secret: new Uint8Array(randomBytes(32)) } as const;
  writeNewFile(layout.key("log-operator"), `${formatSecretKey(operator)}\n`, 0o600);
  const witnessKeys = Array.from({ length: WITNESSES.count }, (_, index) =>
    makeNoteKey(layout, `witness-${index + 1}`, `witness-${index + 1}.localhost`, 0x04),
  );
  return { logKeys: logKeys.map(publicHalf), witnessKeys: witnessKeys.map(publicHalf) };
}

function makeNoteKey(layout: Layout, file: string, name: string, type: 0x01 | 0x04 | 0x06): SignerKey {
  const key = makeSignerKey(name, type, new Uint8Array(randomBytes(32)));
  writeNewFile(layout.key(file), `${formatSignerKey(key)}\n`, 0o600);
  return key;
}

function publicHalf(key: SignerKey): string {
  return formatVerifierKey(key.verifierKey);
}

/** The tlog-policy of the topology: the log's keys, its witnesses with their addresses, and the quorum. */
function formatPolicy(keys: MadeKeys, addresses: Addresses): string {
  const names = keys.witnessKeys.map((_, index) => `w${index + 1}`);
  const lines = [
    ...keys.logKeys.map((key) => `log ${key}`),
    ...keys.witnessKeys.map((key, index) => {
      const address = addresses.witnesses[index];
      return `witness w${index + 1} ${key}${address === undefined ? "" : ` ${urlOf(address)}/`}`;
    }),
    `group quorum-group ${WITNESSES.quorum} ${names.join(" ")}`,
    "quorum quorum-group",
  ];
  return `${lines.join("\n")}\n`;
}

function copyExamplePolicy(layout: Layout): void {
  const example = join(packageRoot(), "docs", "examples", "policy");
  if (!existsSync(example)) throw new StoreError("ERR_FILE_READ", `the example policy bundle is missing: ${example}`);
  mkdirSync(layout.root, { recursive: true });
  cpSync(example, layout.policyFolder, { recursive: true, errorOnExist: true, force: false });
}

function writeConfig(layout: Layout, service: string, config: object): void {
  writeNewFile(layout.config(service), `${JSON.stringify(config, null, 2)}\n`, 0o644);
}

function witnessConfig(
  layout: Layout,
  index: number,
  address: { bind: string; port: number },
  origin: string,
  keys: MadeKeys,
): object {
  const name = `witness-${index + 1}`;
  return {
    listen: { host: address.bind, port: address.port },
    data_dir: layout.data(name),
    key_files: [layout.key(name)],
    logs: [{ origin, keys: keys.logKeys }],
  };
}

function ledgerConfig(layout: Layout, addresses: Addresses, policy: string, origin: string): object {
  return {
    listen: { host: addresses.ledger.bind, port: addresses.ledger.port },
    data_dir: layout.data("ledger"),
    origin,
    log_kind: "receipts",
    log_key_files: [layout.key("log"), layout.key("log-ml-dsa-44")],
    operator_key_file: layout.key("log-operator"),
    operator_token_file: layout.token("ledger-operator"),
    witness_policy: policy,
    admission: { software_evidence: "allow" },
    submit_token_file: layout.token("submit"),
    reader_token_files: [layout.token("read")],
    readers: "token",
  };
}

function apiConfig(layout: Layout, addresses: Addresses, policy: string): object {
  return {
    listen: { host: addresses.api.bind, port: addresses.api.port },
    data_dir: layout.data("api"),
    ...(addresses.api.bind === "127.0.0.1" ? {} : { reader_token_files: [layout.token("read")] }),
    ledgers: [
      { name: "local", url: urlOf(addresses.ledger), witness_policy: policy, reader_token_file: layout.token("read") },
    ],
  };
}

function gatewayConfig(layout: Layout, addresses: Addresses, policy: string, origin: string): object {
  return {
    listen: { host: addresses.gateway.bind, port: addresses.gateway.port },
    ...(addresses.gateway.host === addresses.gateway.bind ? {} : { allowed_hosts: [addresses.gateway.host] }),
    operator_listen: { host: addresses.operator.bind, port: addresses.operator.port },
    operator_token_file: layout.token("operator"),
    data_dir: layout.data("gateway"),
    mode: "enforcing",
    key_protection: "software",
    servers: [demoServer("everything"), { ...demoServer("memory"), env: { MEMORY_FILE_PATH: layout.memoryFile } }],
    policy: { dir: layout.policyFolder },
    catalog: { pin: "first-use" },
    ledger: {
      url: urlOf(addresses.ledger),
      origin,
      witness_policy: policy,
      submit_token_file: layout.token("submit"),
    },
    auth: { tokens: [{ principal: "example-agent", token_file: layout.token("agent") }] },
    heartbeat_seconds: HEARTBEAT_SECONDS,
    session_ttl_seconds: SESSION_TTL_SECONDS,
    outbox: { max_receipts: MAX_OUTBOX_RECEIPTS },
  };
}

/** One of the two published servers that come with the package, started over stdio. */
function demoServer(id: "everything" | "memory"): object {
  const entry = createRequire(import.meta.url).resolve(`@modelcontextprotocol/server-${id}/dist/index.js`);
  return { id, command: process.execPath, args: [entry] };
}
