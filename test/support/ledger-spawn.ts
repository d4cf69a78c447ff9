/** Starts a ledger process from dist/ and kills it; needs `npm run build` before. */

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** A ledger in a process of its own. */
export interface SpawnedLedger {
  readonly url: string;
  readonly pid: number | undefined;
  /** Milliseconds from spawn to listening. */
  readonly startMs: number;
  /** CPU time of all its threads until then. */
  readonly startCpuMs: number;
  /** `kill -9`; resolves when the process is gone. */
  readonly kill: () => Promise<void>;
  /** SIGTERM; resolves when the process has closed everything and ended. */
  readonly stop: () => Promise<void>;
}

/** The built process, also when this file itself was built. */
const BUILT = import.meta.url.endsWith(".ts") ? "../../dist/test/support/ledger-process.js" : "./ledger-process.js";
const SCRIPT = fileURLToPath(new URL(BUILT, import.meta.url));

export async function spawnLedger(dataDir: string, kind: "receipts" | "raw", policy: string): Promise<SpawnedLedger> {
  const started = performance.now();
  const child = spawn(process.execPath, [SCRIPT, dataDir, "0", kind, policy], { stdio: ["ignore", "pipe", "inherit"] });
  for await (const line of createInterface({ input: child.stdout })) {
    const { url, cpuMs }: { readonly url: string; readonly cpuMs: number } = JSON.parse(line);
    const times = { startMs: performance.now() - started, startCpuMs: cpuMs };
    return { url, pid: child.pid, ...times, kill: () => end(child, "SIGKILL"), stop: () => end(child, "SIGTERM") };
  }
  throw new Error("the ledger did not start; its output is above");
}

async function end(child: ChildProcess, signal: "SIGKILL" | "SIGTERM"): Promise<void> {
  const gone = once(child, "exit");
  child.kill(signal);
  await gone;
}
