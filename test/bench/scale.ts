/**
 * What a ledger costs by its size: admission, proofs, memory, and the time from a start after `kill -9` to its listening. One
 * folder grows by powers of ten from 10,000 entries of 300 bytes to 100,000, or to `--entries N`; 10,000,000 take some 4 GB
 * of disk. At each size the process that writes is killed amid its writing.
 */

import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, statfs } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { NO_WITNESSES } from "../support/ledger-service.ts";
import { type SpawnedLedger, spawnLedger } from "../support/ledger-spawn.ts";
import type { ScaleJob, ScaleReport, ScaleResult } from "../support/scale-builder.ts";
import type { Bench } from "./harness.ts";

const ENTRY_BYTES = 300;
const [FIRST_SIZE, DEFAULT_SIZE, QUICK_SIZE] = [10_000, 100_000, 2000];
const [SAMPLES, QUICK_SAMPLES] = [20_000, 400];
/** A start that finds what the kill left, and one that finds what that start left. */
const STARTS = 2;
/** DESIGN: restart after `kill -9` at ten million entries. */
const BAR_SECONDS = 5;
/** Writing goes on for so long after the measurement, so that the kill comes amid it. */
const WRITE_ON_MS = 1500;

/** A row of the table. */
interface Row extends ScaleResult {
  /** Seconds of the slowest start. */
  readonly startSeconds: number;
  /** CPU seconds of that process until it listened. */
  readonly startCpuSeconds: number;
}

/** Prints a row for each size; throws if a log has lost something, or cannot be used after a start. */
export const bench: Bench = async (context) => {
  const largest = context.isQuick ? QUICK_SIZE : (context.entries ?? DEFAULT_SIZE);
  const folder = await mkdtemp(join(tmpdir(), "countersign-scale-"));
  const { bavail, bsize } = await statfs(folder);
  context.print(
    `entries of ${ENTRY_BYTES} B in one growing log; ${Math.round((bavail * bsize) / 1e9)} GB of disk free`,
  );
  context.print(formatHead());
  let first: Row | undefined;
  try {
    for (const entries of sizesTo(largest)) {
      const samples = context.isQuick ? QUICK_SAMPLES : SAMPLES;
      const row = await measureAt({ dataDir: join(folder, "ledger"), entries, entryBytes: ENTRY_BYTES, samples });
      first ??= row;
      context.print(formatRow(row, first));
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  context.print(`ratios are to the first row; the bar of a restart is ${BAR_SECONDS} s at 10,000,000 entries`);
};

function sizesTo(largest: number): readonly number[] {
  const sizes: number[] = [];
  for (let size = Math.min(FIRST_SIZE, largest); size < largest; size *= 10) sizes.push(size);
  return [...sizes, largest];
}

async function measureAt(job: ScaleJob): Promise<Row> {
  const result = await build(job);
  let [startSeconds, startCpuSeconds] = [0, 0];
  for (let i = 0; i < STARTS; i += 1) {
    const ledger = await spawnLedger(job.dataDir, "raw", NO_WITNESSES);
    startSeconds = Math.max(startSeconds, ledger.startMs / 1000);
    startCpuSeconds = Math.max(startCpuSeconds, ledger.startCpuMs / 1000);
    try {
      await checkServes(ledger, result.size);
    } finally {
      await ledger.kill();
    }
  }
  return { ...result, startSeconds, startCpuSeconds };
}

/** Lets the log grow and be measured, and kills whoever does it amid writing on. */
async function build(job: ScaleJob): Promise<ScaleResult> {
  const script = fileURLToPath(new URL("../support/scale-builder.js", import.meta.url));
  const child = fork(script, [JSON.stringify(job)], { stdio: ["ignore", "inherit", "inherit", "ipc"] });
  try {
    const result = await measured(child);
    await new Promise((resolve) => setTimeout(resolve, WRITE_ON_MS));
    return result;
  } finally {
    const gone = once(child, "exit");
    if (child.kill("SIGKILL")) await gone;
  }
}

function measured(child: ChildProcess): Promise<ScaleResult> {
  return new Promise((resolve, reject) => {
    child.once("exit", () => reject(new Error("the process that fills the log ended by itself")));
    child.on("message", (report: ScaleReport) => {
      if (report.kind === "fault") reject(new Error(report.what));
      if (report.kind === "measured") resolve(report.result);
    });
  });
}

/** Everything that was acknowledged before the measurement is there; the log takes entries again. */
async function checkServes({ url }: SpawnedLedger, size: number): Promise<void> {
  const { ready, size: found } = Object(await (await fetch(`${url}/readyz`)).json());
  if (ready !== true || !(Number(found) >= size)) throw new Error(`after a kill: size ${found} of ${size}`);
}

const COLUMNS = [11, 9, 15, 14, 16, 16, 9, 9, 9, 15, 15] as const;

function line(cells: readonly string[]): string {
  return cells.map((cell, i) => cell.padStart(COLUMNS[i] ?? 0)).join("");
}

function formatHead(): string {
  const times = ["entries", "fill s", "admit us", "main us", "proof p50 ms", "proof p99 ms"];
  return line([...times, "rss MiB", "heap", "external", "restart s", "restart CPU s"]);
}

function formatRow(row: Row, first: Row): string {
  const ratio = (read: (of: Row) => number, digits: number): string =>
    `${read(row).toFixed(digits)} (${(read(row) / read(first)).toFixed(1)}x)`;
  return line([
    row.size.toLocaleString("en-US"),
    row.fillSeconds.toFixed(1),
    ratio((of) => of.admissionUs, 1),
    ratio((of) => of.admissionCpuUs, 1),
    ratio((of) => of.proofP50Ms, 2),
    ratio((of) => of.proofP99Ms, 2),
    String(row.rss),
    String(row.heap),
    String(row.external),
    ratio((of) => of.startSeconds, 2),
    ratio((of) => of.startCpuSeconds, 2),
  ]);
}
