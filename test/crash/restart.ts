/**
 * How long a big ledger takes to serve again after `kill -9`: `node dist/test/crash/restart.js [--entries N] [--bytes B]`.
 *
 * A raw log of N entries (default a million) of B bytes (default 300) is filled through the ledger's own code, killed amid
 * writing, started, and killed again while it is idle. Prints milliseconds from the process's start to its listening.
 */

import { mkdtemp, rm, statfs } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { processIo } from "../../cli/io.ts";
import { makeProgress } from "../../cli/progress.ts";
import { NO_WITNESSES } from "../support/ledger-service.ts";
import { type SpawnedLedger, spawnLedger } from "../support/ledger-spawn.ts";
import { Child } from "./child.ts";
import type { BuilderStart } from "./restart-builder.ts";

/** DESIGN: restart after `kill -9` at ten million entries. */
const BAR_MS = 5000;
const STARTS = 3;

function numberAfter(name: string, fallback: number): number {
  const at = process.argv.indexOf(name);
  const value = at === -1 ? fallback : Number(process.argv[at + 1]);
  if (!Number.isSafeInteger(value) || value < 1) throw new Error(`${name}: want a positive integer`);
  return value;
}

/** Fills the folder and kills whoever fills it. @returns seconds that it took */
async function fill(start: BuilderStart): Promise<number> {
  const started = performance.now();
  const progress = makeProgress("filling", processIo(), () => performance.now());
  await new Promise<void>((resolve, reject) => {
    const builder = new Child("restart-builder", start, (message) => {
      if (message.kind === "fault") reject(new Error(message.what));
      if (message.kind !== "filled") return;
      progress.update(message.size, start.entries);
      if (message.size >= start.entries) void builder.kill().then(resolve);
    });
  });
  progress.end();
  return (performance.now() - started) / 1000;
}

async function sizeOf({ url }: SpawnedLedger): Promise<number> {
  const { ready, size } = Object(await (await fetch(`${url}/readyz`)).json());
  if (ready !== true) throw new Error("the ledger is not ready");
  return Number(size);
}

const [entries, entryBytes] = [numberAfter("--entries", 1_000_000), numberAfter("--bytes", 300)];
const dataDir = join(await mkdtemp(join(tmpdir(), "countersign-restart-")), "ledger");
const space = await statfs(tmpdir());
console.log(`${entries} entries of ${entryBytes} bytes; ${Math.round((space.bavail * space.bsize) / 1e9)} GB free`);
let failed = 0;
try {
  console.log(`filled in ${Math.round(await fill({ dataDir, entries, entryBytes }))} s, then killed`);
  for (let i = 1; i <= STARTS; i += 1) {
    const ledger = await spawnLedger(dataDir, "raw", NO_WITNESSES);
    const size = await sizeOf(ledger);
    await ledger.kill();
    const isFine = ledger.startMs < BAR_MS && size >= entries;
    failed += isFine ? 0 : 1;
    console.log(`start ${i}: ${Math.round(ledger.startMs)} ms, size ${size}${isFine ? "" : ": FAILED"}`);
  }
} finally {
  await rm(join(dataDir, ".."), { recursive: true, force: true });
}
console.log(`${STARTS - failed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
