/** A log in stores of its own, what a test does to it, and what fsck finds then. */

import { expect } from "vitest";
import { formatVerifierKey } from "../../kernel/note/verifier-key.ts";
import { parseWitnessPolicy } from "../../kernel/witness-policy.ts";
import type { FsckReport } from "../../ledger/fsck/fsck.ts";
import type { NodeRole } from "../../ledger/postgres-s3/config.ts";
import { type Database, openDatabase } from "../../ledger/postgres-s3/database.ts";
import { checkStoredLog } from "../../ledger/postgres-s3/fsck/fsck.ts";
import { listObjects } from "../../ledger/postgres-s3/object-list.ts";
import { type ObjectStore, openObjectStore } from "../../ledger/postgres-s3/object-store.ts";
import { eventually, LEDGER_KEYS, LEDGER_ORIGIN, NO_WITNESSES, SUBMIT } from "../support/ledger-service.ts";
import { type NodeOptions, nodeStorage, startNode, type TestNode } from "../support/postgres-s3-log.ts";
import { S3_CREDENTIALS, type S3Server } from "../support/s3-server.ts";

const HEADERS = { contentType: "application/octet-stream", cacheControl: "no-store" };
const KEYS = LEDGER_KEYS.map(({ verifierKey }) => `log ${formatVerifierKey(verifierKey)}\n`).join("");

/** A log in stores of its own, and what a test does to it. */
export class StoredLog {
  readonly url: string;
  readonly prefix: string;
  readonly database: Database;
  readonly store: ObjectStore;
  readonly #s3: S3Server;

  constructor(url: string, s3: S3Server) {
    [this.url, this.#s3] = [url, s3];
    this.prefix = `${new URL(url).pathname.slice(1)}/`;
    this.database = openDatabase(url);
    this.store = openObjectStore({ ...s3.place, prefix: this.prefix }, S3_CREDENTIALS);
  }

  start(
    kind: "raw" | "receipts",
    role: NodeRole = "both",
    { config, ...options }: NodeOptions = {},
  ): Promise<TestNode> {
    const storage = { s3_prefix: this.prefix, role };
    return startNode({ url: this.url }, this.#s3, { ...options, config: { log_kind: kind, ...config }, storage });
  }

  /**
   * @param send  how the check reaches the store
   * @param witnesses  of the log: lines of a tlog-policy
   */
  check(
    origin: string = LEDGER_ORIGIN,
    send: typeof fetch = fetch,
    witnesses: string = NO_WITNESSES,
  ): Promise<FsckReport> {
    const storage = nodeStorage(this.#s3, { s3_prefix: this.prefix });
    const secrets = { databaseUrl: this.url, credentials: S3_CREDENTIALS, fetch: send };
    const policy = parseWitnessPolicy(`${KEYS}${witnesses}`);
    return checkStoredLog({ origin, storage, secrets, policy, workers: 0 });
  }

  /** Places and codes of what a check finds. */
  async faults(witnesses: string = NO_WITNESSES): Promise<readonly string[]> {
    return (await this.check(LEDGER_ORIGIN, fetch, witnesses)).findings.faults.map(
      ({ path, code }) => `${path} ${code}`,
    );
  }

  async objects(): Promise<readonly string[]> {
    const keys: string[] = [];
    for await (const key of listObjects({ ...this.#s3.place, prefix: this.prefix }, S3_CREDENTIALS, "")) keys.push(key);
    return keys;
  }

  /** Every object with its bytes; those that go meanwhile are left out. */
  async copyObjects(): Promise<ReadonlyMap<string, Uint8Array>> {
    const copy = new Map<string, Uint8Array>();
    for (const key of await this.objects()) {
      const object = await this.store.get(key);
      if (object !== undefined) copy.set(key, object.bytes);
    }
    return copy;
  }

  /** Replaces an object whatever it is. */
  async put(key: string, bytes: Uint8Array): Promise<void> {
    const present = await this.store.get(key);
    if (present === undefined) await this.store.create(key, bytes, HEADERS);
    else expect(await this.store.replace(key, bytes, HEADERS, present.etag)).toBe("replaced");
  }

  /** Flips one bit of an object while `work` runs. */
  async withFlip<T>(key: string, at: (length: number) => number, work: () => Promise<T>): Promise<T> {
    const bytes = (await this.store.get(key))?.bytes ?? new Uint8Array(0);
    const damaged = bytes.slice();
    const place = at(bytes.length);
    damaged[place] = (damaged[place] ?? 0) ^ 1;
    await this.put(key, damaged);
    const result = await work();
    await this.put(key, bytes);
    return result;
  }

  /** Runs a statement, checks, and takes the statement back. */
  async withStatement(statement: string, undo: string): Promise<readonly string[]> {
    await this.database.query(statement);
    const found = await this.faults();
    await this.database.query(undo);
    return found;
  }
}

/** Adds entries to a raw log, all at once. */
export async function add(node: TestNode, from: number, count: number): Promise<void> {
  await Promise.all(
    Array.from({ length: count }, (_, i) =>
      fetch(`${node.url}/add`, { method: "POST", body: `entry ${from + i}`, headers: SUBMIT }),
    ),
  );
}

/** Waits until all is published. @returns the size */
export function published(node: TestNode): Promise<number> {
  return eventually(async () => {
    const body = (await (await fetch(`${node.url}/readyz`)).json()) as { size: number; published_size: number };
    return body.size === body.published_size ? body.size : undefined;
  });
}
