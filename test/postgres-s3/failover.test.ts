import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { formatHex } from "../../kernel/hex.ts";
import { CompactRange } from "../../kernel/merkle/compact-range.ts";
import { hashLeaf } from "../../kernel/merkle/hash.ts";
import { openWitnessedCheckpoint, parseWitnessPolicy, type WitnessPolicy } from "../../kernel/witness-policy.ts";
import type { LoadJob, LoadResult } from "../support/ledger-load.ts";
import { readEntries } from "../support/ledger-reader.ts";
import { SUBMIT } from "../support/ledger-service.ts";
import { LEASE_MS } from "../support/postgres-s3-log.ts";
import { type Cluster, type ClusterNode, type LogName, startCluster } from "./cluster.ts";
import { Pulse, RawClient, StreamClient } from "./writers.ts";

const RAW_CLIENTS = 16;
const LOAD_MS = 4000;
const CALM_MS = 700;
/** A frozen node answers nobody. */
const LOOK_MS = 1000;
/**
 * Beside the lease, in which nobody may take over, so long nobody may go without an acknowledgement: PostgreSQL is up again, an
 * admission node is there, and a lock of one that is gone is not waited for. Far above what a busy machine makes of that.
 */
const GRACE_MS = 20_000;
/** Without a larger checkpoint, though there are entries: far above a takeover. */
const STANDSTILL_MS = 30_000;
/** On two cores that others keep busy, a restarted process takes seconds until it listens. */
const LIMIT_MS = 240_000;

let cluster: Cluster;
beforeAll(async () => {
  cluster = await startCluster();
});
afterAll(() => cluster.remove());

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const say = (line: string): void => void process.stdout.write(`${line}\n`);

/** Every checkpoint that any node ever published, and that none went back or forked. */
class Watcher {
  readonly roots = new Map<bigint, string>();
  readonly #newest = new Map<string, bigint>();
  /** The last note of each node: checking signatures is what costs. */
  readonly #notes = new Map<string, string>();
  readonly #log: LogName;
  readonly #policy: WitnessPolicy;
  #isStopping = false;
  #running: Promise<void> | undefined;

  constructor(log: LogName) {
    this.#log = log;
    this.#policy = parseWitnessPolicy(cluster.policy(log));
  }

  /** The largest published size. */
  get size(): bigint {
    return [...this.#newest.values()].reduce((most, each) => (each > most ? each : most), 0n);
  }

  start(): void {
    this.#running = this.#run();
    this.#running.catch(() => undefined);
  }

  /** @throws what was wrong with a checkpoint */
  async stop(): Promise<void> {
    this.#isStopping = true;
    await this.#running;
  }

  async #run(): Promise<void> {
    while (!this.#isStopping) {
      for (const node of [...cluster.admission, ...cluster.integrators]) await this.#look(node);
      await pause(20);
    }
  }

  async #look({ name, url }: ClusterNode): Promise<void> {
    const response = await fetch(`${url}/${this.#log}/checkpoint`, { signal: AbortSignal.timeout(LOOK_MS) }).catch(
      () => undefined,
    );
    const note = await response?.text().catch(() => undefined);
    if (response?.status !== 200 || note === undefined || note === this.#notes.get(name)) return;
    this.#notes.set(name, note);
    const { size, root } = openWitnessedCheckpoint(note, this.#policy).checkpoint;
    const before = this.#newest.get(name) ?? 0n;
    if (size < before) throw new Error(`${name} went back from ${before} to ${size}`);
    this.#newest.set(name, size);
    const known = this.roots.get(size) ?? formatHex(root);
    if (known !== formatHex(root)) throw new Error(`two checkpoints of size ${size} were published`);
    this.roots.set(size, known);
  }
}

/** The node that integrates a log now. */
async function integratorOf(log: LogName): Promise<ClusterNode> {
  for (let i = 0; i < 600; i += 1) {
    for (const node of cluster.integrators) {
      const status = await node.status(log);
      if (Object(status?.["node"]).integrates === true) return node;
    }
    await pause(50);
  }
  throw new Error(`nobody integrates ${log}`);
}

/** Milliseconds until more is published than at the call. */
async function untilGrowth(watcher: Watcher): Promise<number> {
  const started = performance.now();
  const before = watcher.size;
  while (watcher.size <= before) {
    if (performance.now() - started > 40_000) throw new Error(`nothing above ${before} was published for 40 s`);
    await pause(10);
  }
  return Math.round(performance.now() - started);
}

async function runLoad(node: ClusterNode, connections: number): Promise<LoadResult> {
  const job: LoadJob = {
    port: Number(new URL(node.url).port),
    path: "/raw/add",
    headers: SUBMIT,
    connections,
    milliseconds: LOAD_MS,
    bodies: { kind: "random", bytes: 300 },
  };
  const script = fileURLToPath(new URL("../../dist/test/support/ledger-load.js", import.meta.url));
  const child = fork(script, { stdio: ["ignore", "inherit", "inherit", "ipc"] });
  child.send(job);
  const [result]: LoadResult[] = await once(child, "message");
  if (result === undefined) throw new Error("the load gave no result");
  return result;
}

describe("two admission nodes and two integrators, killed under load", () => {
  it("acknowledge everything that they are sent while nobody is killed; the rate is printed", async () => {
    const results = await Promise.all(cluster.admission.map((node) => runLoad(node, 128)));
    const rate = results.reduce((total, { requests, milliseconds }) => total + (requests * 1000) / milliseconds, 0);
    const p50 = results.map(({ latencies }) => (latencies[Math.floor(latencies.length / 2)] ?? 0).toFixed(1));
    say(`postgres-s3: ${Math.round(rate)} raw entries of 300 B a second over two nodes, p50 ${p50.join(" and ")} ms`);
    expect(results.map(({ faults, firstFault }) => [faults, firstFault])).toEqual([
      [0, undefined],
      [0, undefined],
    ]);
    for (const { requests, latencies } of results) {
      expect(requests).toBeGreaterThan(0);
      expect(latencies.at(-1)).toBeLessThan(LEASE_MS + GRACE_MS);
    }
  });

  it(
    "lose nothing acknowledged, leave no gap, give nothing two places, and sign one history",
    async () => {
      const urls = (log: LogName): readonly string[] => cluster.admission.map(({ url }) => `${url}/${log}`);
      const pulse = new Pulse();
      const raw = Array.from({ length: RAW_CLIENTS }, (_, i) => new RawClient(urls("raw"), `client ${i}`, pulse));
      const streams = [0, 1].map((i) => new StreamClient(urls("receipts"), cluster.origin("receipts"), 10 + i * 100));
      const watchers = { raw: new Watcher("raw"), receipts: new Watcher("receipts") };
      for (const watcher of Object.values(watchers)) watcher.start();
      const writing = Promise.all([...raw, ...streams].map((client) => client.run()));
      writing.catch(() => undefined);
      const started = performance.now();

      /** Milliseconds until a node that answers integrates and has published more. */
      const takenOver = async (log: LogName): Promise<number> => {
        const since = performance.now();
        await integratorOf(log);
        await untilGrowth(watchers[log]);
        return Math.round(performance.now() - since);
      };
      const killIntegrator = async (log: LogName): Promise<string> => {
        const node = await integratorOf(log);
        await node.kill();
        const ms = await takenOver(log);
        await node.up();
        return `${node.name} (integrates ${log}): published again after ${ms} ms`;
      };
      const freezeIntegrator = async (log: LogName): Promise<string> => {
        const node = await integratorOf(log);
        node.freeze();
        const ms = await takenOver(log);
        node.wake();
        await untilGrowth(watchers[log]);
        expect(await node.status(log)).not.toHaveProperty("fault");
        return `(frozen, then woken) ${node.name} (integrates ${log}): published again after ${ms} ms`;
      };
      const killAdmission = async (i: 0 | 1): Promise<string> => {
        await cluster.admission[i].kill();
        const ms = await untilGrowth(watchers.raw);
        await cluster.admission[i].up();
        return `${cluster.admission[i].name}: published again after ${ms} ms`;
      };
      const killPostgres = async (): Promise<string> => {
        await cluster.postgres.stopImmediately();
        await pause(300);
        await cluster.postgres.up();
        return `PostgreSQL (immediate): published again after ${await untilGrowth(watchers.raw)} ms`;
      };
      const killStore = async (): Promise<string> => {
        await cluster.s3.kill();
        await pause(1000);
        await cluster.s3.up();
        return `the S3 server: published again after ${await untilGrowth(watchers.raw)} ms`;
      };
      const incidents = [
        () => killIntegrator("raw"),
        () => killAdmission(0),
        killPostgres,
        () => killIntegrator("receipts"),
        killStore,
        () => freezeIntegrator("raw"),
        () => killIntegrator("raw"),
      ];
      for (const incident of incidents) {
        await Promise.race([pause(CALM_MS), writing]);
        pulse.restart();
        const what = await Promise.race([incident(), writing.then(() => "nothing: the clients ended")]);
        const silentMs = Math.round(pulse.longestMs);
        say(`postgres-s3: killed ${what}; nobody was acknowledged for ${silentMs} ms at most`);
        expect(silentMs, what).toBeLessThan(LEASE_MS + GRACE_MS);
      }
      for (const client of [...raw, ...streams]) client.stop();
      await writing;
      const seconds = (performance.now() - started) / 1000;
      const counts = { raw: sum(raw), receipts: sum(streams) };
      say(
        `postgres-s3: ${counts.raw} entries and ${counts.receipts} receipts acknowledged in ${Math.round(seconds)} s of kills`,
      );
      for (const log of ["raw", "receipts"] as const) {
        const size = await checkLog(log, watchers[log], log === "raw" ? raw : streams);
        say(`postgres-s3: ${log}: ${size} entries, ${watchers[log].roots.size} published checkpoints, one history`);
      }
    },
    LIMIT_MS,
  );
});

function sum(clients: readonly { readonly acknowledged: number }[]): number {
  return clients.reduce((total, { acknowledged }) => total + acknowledged, 0);
}

/** What every node says of a log. */
async function standing(log: LogName): Promise<string> {
  const nodes = [...cluster.admission, ...cluster.integrators];
  const all = await Promise.all(nodes.map(async (node) => [node.name, await node.status(log)]));
  return JSON.stringify(Object.fromEntries(all));
}

/** The whole log, read from a node, against everything that anybody was told. */
async function checkLog(
  log: LogName,
  watcher: Watcher,
  clients: readonly { readonly reach: number; readonly check: (entries: readonly Uint8Array[]) => void }[],
): Promise<number> {
  const [node] = cluster.admission;
  // A node may not have heard yet of what another one sequenced a moment ago.
  const heard = Number((await node.status(log))?.["size"]);
  const size = BigInt(Math.max(heard, ...clients.map(({ reach }) => reach)));
  let [seen, grownAt] = [watcher.size, performance.now()];
  while (watcher.size < size) {
    if (watcher.size > seen) [seen, grownAt] = [watcher.size, performance.now()];
    if (performance.now() - grownAt > STANDSTILL_MS)
      throw new Error(`${seen} of ${size} entries of ${log} are published: ${await standing(log)}`);
    await pause(50);
  }
  await watcher.stop();
  const entries = await readEntries(`${node.url}/${log}`, size);
  const leaves = entries.map(hashLeaf);
  expect(new Set(leaves.map(formatHex)).size).toBe(Number(size));
  for (const client of clients) client.check(entries);
  const range = CompactRange.empty();
  let found = 0;
  for (const leaf of leaves) {
    range.append(leaf);
    const root = watcher.roots.get(range.size);
    if (root === undefined) continue;
    expect(formatHex(range.root())).toBe(root);
    found += 1;
  }
  expect(found).toBe(watcher.roots.size);
  return entries.length;
}
