/**
 * Admission to the ledger against a bare server that only appends and syncs, in the same run, by the same client, over
 * loopback; ledger, client and disk share the machine. Every answer counted was given after the sync.
 */

import { type ChildProcess, fork, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { LoadJob, LoadResult } from "../support/ledger-load.ts";
import { SUBMIT } from "../support/ledger-service.ts";
import type { Bench, BenchContext } from "./harness.ts";

const ENTRY_BYTES = 300;
const ADD = { path: "/add", headers: SUBMIT, bodies: { kind: "random", bytes: ENTRY_BYTES } } as const;

/** A server process and its port. */
interface Server {
  readonly port: number;
  readonly stop: () => Promise<void>;
}

/** Admission benchmarks. */
export const bench: Bench = async (context) => {
  const folder = await mkdtemp(join(tmpdir(), "countersign-bench-"));
  try {
    for (const connections of [64, 512]) await benchRaw(context, folder, connections);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
};

async function benchRaw(context: BenchContext, folder: string, connections: number): Promise<void> {
  context.print(`\nledger: unique entries of ${ENTRY_BYTES} B, one a request, ${connections} connections`);
  const baseline = await startServer("ledger-baseline.js", [join(folder, "baseline")]);
  const ledger = await startServer("ledger-process.js", [join(folder, `raw-${connections}`), "0", "raw"]);
  const job = { ...ADD, connections, milliseconds: context.budgetMs };
  try {
    await load({ ...job, port: baseline.port, milliseconds: context.budgetMs / 3 });
    await load({ ...job, port: ledger.port, milliseconds: context.budgetMs / 3 });
    const bare = await load({ ...job, port: baseline.port });
    printRow(context, "bare node:http + fdatasync", bare, 1, 1);
    printRow(context, "ledger", await load({ ...job, port: ledger.port }), 1, rateOf(bare));
  } finally {
    await baseline.stop();
    await ledger.stop();
  }
}

function rateOf({ requests, milliseconds }: LoadResult): number {
  return (requests * 1000) / milliseconds;
}

function printRow(context: BenchContext, name: string, result: LoadResult, each: number, baseline: number): void {
  const rate = rateOf(result) * each;
  const at = (share: number): string =>
    `${(result.latencies[Math.floor(result.latencies.length * share)] ?? 0).toFixed(2)} ms`;
  const ratio = baseline === 1 ? "1.00 x" : `${(rate / baseline).toFixed(2)} x`;
  const columns = [`${Math.round(rate).toLocaleString("en-US")}/s`, `p50 ${at(0.5)}`, `p99 ${at(0.99)}`, ratio];
  context.print(`  ${name.padEnd(34)}${columns.map((column) => column.padStart(15)).join("")}`);
  if (result.faults > 0) context.print(`  ${result.faults} faults, the first: ${result.firstFault?.slice(0, 300)}`);
}

/** Runs one job in a process of its own. */
async function load(job: LoadJob): Promise<LoadResult> {
  const child = fork(pathOf("ledger-load.js"), { stdio: ["ignore", "inherit", "inherit", "ipc"] });
  child.send(job);
  const [result]: LoadResult[] = await once(child, "message");
  if (result === undefined) throw new Error("the load process gave no result");
  return result;
}

async function startServer(script: string, args: readonly string[]): Promise<Server> {
  const child = spawn(process.execPath, [pathOf(script), ...args], { stdio: ["ignore", "pipe", "inherit"] });
  for await (const line of createInterface({ input: child.stdout })) {
    const { url }: { readonly url: string } = JSON.parse(line);
    return { port: Number(new URL(url).port), stop: () => stop(child) };
  }
  throw new Error(`${script} did not start`);
}

async function stop(child: ChildProcess): Promise<void> {
  const ended = once(child, "exit");
  child.kill("SIGTERM");
  await ended;
}

function pathOf(script: string): string {
  return fileURLToPath(new URL(`../support/${script}`, import.meta.url));
}
