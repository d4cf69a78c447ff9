/** Servers and clients of benchmarks over HTTP, each in a process of its own, and the row that a result makes. */

import { type ChildProcess, fork, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { LoadJob, LoadResult } from "../support/ledger-load.ts";
import type { BenchContext } from "./harness.ts";

/** A server process and its port. */
export interface Server {
  readonly port: number;
  readonly pid: number;
  readonly stop: () => Promise<void>;
}

/** Requests a second. */
export function rateOf({ requests, milliseconds }: LoadResult): number {
  return (requests * 1000) / milliseconds;
}

/** Prints rate, latencies and ratio to the baseline. @param each  things that one request did */
export function printRow(
  context: BenchContext,
  name: string,
  result: LoadResult,
  each: number,
  baseline: number,
): void {
  const rate = rateOf(result) * each;
  const at = (share: number): string =>
    `${(result.latencies[Math.floor(result.latencies.length * share)] ?? 0).toFixed(2)} ms`;
  const ratio = `${(rate / baseline).toFixed(2)} x`;
  const columns = [`${Math.round(rate).toLocaleString("en-US")}/s`, `p50 ${at(0.5)}`, `p99 ${at(0.99)}`, ratio];
  context.print(`  ${name.padEnd(34)}${columns.map((column) => column.padStart(15)).join("")}`);
  if (result.faults > 0) context.print(`  ${result.faults} faults, the first: ${result.firstFault?.slice(0, 300)}`);
}

/** Runs one job in a process of its own. */
export async function load(job: LoadJob): Promise<LoadResult> {
  const child = fork(pathOf("ledger-load.js"), { stdio: ["ignore", "inherit", "inherit", "ipc"] });
  child.send(job);
  // A process that dies says nothing.
  const [result]: LoadResult[] = await Promise.race([once(child, "message"), once(child, "exit").then(() => [])]);
  if (result === undefined) throw new Error("the load process gave no result");
  return result;
}

/** Starts a script of test/support, which prints its address as JSON. */
export async function startServer(script: string, args: readonly string[]): Promise<Server> {
  return startProgram(process.execPath, [pathOf(script), ...args], "inherit");
}

/** Starts a program that prints its address as JSON. @param errors  what becomes of what it writes to standard error */
export async function startProgram(
  program: string,
  args: readonly string[],
  errors: "inherit" | "ignore",
): Promise<Server> {
  const child = spawn(program, args, { stdio: ["ignore", "pipe", errors] });
  for await (const line of createInterface({ input: child.stdout })) {
    const { url }: { readonly url: string } = JSON.parse(line);
    return { port: Number(new URL(url).port), pid: child.pid ?? 0, stop: () => stop(child) };
  }
  throw new Error(`${program} ${args[0] ?? ""} did not start`);
}

async function stop(child: ChildProcess): Promise<void> {
  const ended = once(child, "exit");
  child.kill("SIGTERM");
  await ended;
}

function pathOf(script: string): string {
  return fileURLToPath(new URL(`../support/${script}`, import.meta.url));
}
