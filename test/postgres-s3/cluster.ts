/**
 * A whole installation as real processes: PostgreSQL, an S3 server, a witness, and nodes that run `countersign ledger`, each on
 * a port of its own that it keeps over its kills. Two logs, one raw and one of receipts, in every node.
 */

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { formatSignerKey, makeSignerKey, type SignerKey } from "../../kernel/note/signer-key.ts";
import { formatVerifierKey } from "../../kernel/note/verifier-key.ts";
import { formatSecretKey } from "../../kernel/signature/secret-key.ts";
import type { NodeRole } from "../../ledger/postgres-s3/config.ts";
import { startWitness } from "../../witness/start.ts";
import { freePort } from "../support/free-port.ts";
import { LEDGER_ORIGIN, READER_TOKEN, SUBMIT_TOKEN } from "../support/ledger-service.ts";
import { LEASE_MS, nodeStorage } from "../support/postgres-s3-log.ts";
import { PostgresServer } from "../support/postgres-server.ts";
import { S3_CREDENTIALS, S3Server, versitygw } from "../support/s3-server.ts";

/** The logs of a cluster, by name. */
export type LogName = "raw" | "receipts";

const ORIGINS: Readonly<Record<LogName, string>> = { raw: "ledger.example/raw", receipts: LEDGER_ORIGIN };
const COMMAND = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));

/** One node. */
export class ClusterNode {
  readonly name: string;
  readonly url: string;
  readonly #config: string;
  #process: ChildProcess | undefined;

  constructor(name: string, port: number, config: string) {
    [this.name, this.url, this.#config] = [name, `http://127.0.0.1:${port}`, config];
  }

  /** Starts the process; resolves when it listens. */
  async up(): Promise<void> {
    const child = spawn(process.execPath, [COMMAND, "ledger", "--config", this.#config], {
      stdio: ["ignore", "pipe", process.env["COUNTERSIGN_SHOW"] === undefined ? "ignore" : "inherit"],
      env: { ...process.env, COUNTERSIGN_LOG_LEVEL: "warn" },
    });
    this.#process = child;
    const lines = createInterface({ input: child.stdout });
    const ended = once(child, "exit").then(() => Promise.reject(new Error(`${this.name} ended before it listened`)));
    await Promise.race([once(lines, "line"), ended]);
    ended.catch(() => undefined);
  }

  /** `kill -9`. */
  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  /** Stops the process where it is, as a machine that hangs does; `wake` lets it go on. */
  freeze(): void {
    this.#process?.kill("SIGSTOP");
  }

  /** Lets a frozen process go on as if nothing had happened. */
  wake(): void {
    this.#process?.kill("SIGCONT");
  }

  /** SIGTERM: it closes in an orderly way. */
  async stop(): Promise<void> {
    await this.#end("SIGTERM");
  }

  /** What it says of one of its logs; undefined if it does not answer. */
  async status(log: LogName): Promise<Record<string, unknown> | undefined> {
    try {
      const body: unknown = await (
        await fetch(`${this.url}/${log}/readyz`, { signal: AbortSignal.timeout(1000) })
      ).json();
      return typeof body === "object" && body !== null ? { ...body } : undefined;
    } catch {
      return undefined;
    }
  }

  async #end(signal: "SIGKILL" | "SIGTERM"): Promise<void> {
    const child = this.#process;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    child.kill(signal);
    await once(child, "exit");
  }
}

/** Everything that runs. */
export interface Cluster {
  readonly postgres: PostgresServer;
  readonly s3: S3Server;
  readonly admission: readonly [ClusterNode, ClusterNode];
  readonly integrators: readonly [ClusterNode, ClusterNode];
  /** Keys of a log. */
  readonly keys: (log: LogName) => readonly SignerKey[];
  readonly origin: (log: LogName) => string;
  /** The tlog-policy of a log: its keys and the witness. */
  readonly policy: (log: LogName) => string;
  readonly remove: () => Promise<void>;
}

/** Starts it all. */
export async function startCluster(): Promise<Cluster> {
  const folder = await mkdtemp(join(tmpdir(), "countersign-cluster-"));
  const [postgres, s3] = await Promise.all([PostgresServer.start(), S3Server.start(versitygw())]);
  const witnessKey = makeSignerKey("witness.example/cluster", 0x04, new Uint8Array(32).fill(77));
  const silent = { info: () => undefined, warn: () => undefined, error: () => undefined };
  const witness = await startWitness({
    config: {
      listen: { port: 0 },
      data_dir: join(folder, "witness"),
      key_files: [],
      logs: (["raw", "receipts"] as const).map((log) => ({
        origin: ORIGINS[log],
        keys: logKeys(log).map(({ verifierKey }) => verifierKey),
      })),
      requests_per_minute: 1_000_000,
    },
    keys: [witnessKey],
    logger: silent,
  });
  const policy = (log: LogName): string =>
    [
      ...logKeys(log).map(({ verifierKey }) => `log ${formatVerifierKey(verifierKey)}`),
      `witness w ${formatVerifierKey(witnessKey.verifierKey)} ${witness.url}/`,
      "quorum w\n",
    ].join("\n");
  await writeSecrets(folder, postgres);
  const node = (name: string, role: NodeRole): Promise<ClusterNode> => makeNode({ folder, s3, policy, name, role });
  const admission = [await node("admission-1", "admission"), await node("admission-2", "admission")] as const;
  const integrators = [await node("integrator-1", "integrator"), await node("integrator-2", "integrator")] as const;
  for (const each of [...admission, ...integrators]) await each.up();
  return {
    postgres,
    s3,
    admission,
    integrators,
    keys: logKeys,
    origin: (log) => ORIGINS[log],
    policy,
    remove: async () => {
      for (const each of [...admission, ...integrators]) await each.kill();
      await witness.close();
      await postgres.remove();
      await s3.remove();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function logKeys(log: LogName): readonly SignerKey[] {
  const fill = log === "raw" ? 81 : 41;
  return [
    makeSignerKey(ORIGINS[log], 0x01, new Uint8Array(32).fill(fill)),
    makeSignerKey(ORIGINS[log], 0x06, new Uint8Array(32).fill(fill + 1)),
  ];
}

async function writeSecrets(folder: string, postgres: PostgresServer): Promise<void> {
  const operator = formatSecretKey({ alg: "ed25519", secret: new Uint8Array(32).fill(43) });
  const credentials = { access_key_id: S3_CREDENTIALS.accessKeyId, secret_access_key: S3_CREDENTIALS.secretAccessKey };
  const files: Record<string, string> = {
    "operator.key": `${operator}\n`,
    submit: `${SUBMIT_TOKEN}\n`,
    reader: `${READER_TOKEN}\n`,
    "database-url": `${postgres.url}\n`,
    "s3-credentials": JSON.stringify(credentials),
  };
  for (const log of ["raw", "receipts"] as const) {
    for (const [i, key] of logKeys(log).entries()) files[`${log}-${i}.key`] = `${formatSignerKey(key)}\n`;
  }
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
}

interface NodeParts {
  readonly folder: string;
  readonly s3: S3Server;
  readonly policy: (log: LogName) => string;
  readonly name: string;
  readonly role: NodeRole;
}

async function makeNode({ folder, s3, policy, name, role }: NodeParts): Promise<ClusterNode> {
  const port = await freePort();
  const path = (file: string): string => join(folder, file);
  const storage = nodeStorage(s3, {
    role,
    lease_ms: LEASE_MS,
    database_url_file: path("database-url"),
    s3_credentials_file: path("s3-credentials"),
  });
  const logs = (["raw", "receipts"] as const).map((log) => ({
    name: log,
    storage: { ...storage, s3_prefix: `${log}/` },
    origin: ORIGINS[log],
    log_kind: log,
    log_key_files: [path(`${log}-0.key`), path(`${log}-1.key`)],
    operator_key_file: path("operator.key"),
    witness_policy: policy(log),
    admission: { software_evidence: "allow" },
    submit_token_file: path("submit"),
    reader_token_files: [path("reader")],
    readers: "token",
    checkpoint_ms: 200,
    witness_ms: 400,
    // The witness shares its process with all the clients.
    witness_timeout_ms: 10_000,
  }));
  await writeFile(path(`${name}.json`), JSON.stringify({ listen: { port }, logs }));
  return new ClusterNode(name, port, path(`${name}.json`));
}
