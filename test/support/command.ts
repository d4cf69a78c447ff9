/** Runs the built `countersign` command as a real process. */

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { join } from "node:path";
import { ROOT } from "./source-files.ts";

const MAIN = join(ROOT, "dist", "cli", "main.js");

/** What a finished run left. */
export interface Finished {
  readonly status: number | null;
  readonly out: string;
  readonly err: string;
}

/** Runs to the end, at most `limitMs`. */
export function runCommandLine(args: readonly string[], limitMs = 60_000): Finished {
  const done = spawnSync(process.execPath, [MAIN, ...args], { encoding: "utf8", timeout: limitMs });
  return { status: done.status, out: done.stdout, err: done.stderr };
}

/** Starts a process that stays; whoever starts it ends it. */
export function startCommandLine(args: readonly string[]): ChildProcess {
  return spawn(process.execPath, [MAIN, ...args], { stdio: ["ignore", "pipe", "pipe"] });
}

/** Ends a process with `signal` and resolves when it is gone. */
export async function endProcess(child: ChildProcess, signal: NodeJS.Signals = "SIGTERM"): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
  const gone = new Promise<number | null>((resolve) => child.once("exit", (code) => resolve(code)));
  child.kill(signal);
  return gone;
}

/** Polls `ready` every 50 ms until it is true. @throws after `limitMs` */
export async function until(what: string, ready: () => Promise<boolean>, limitMs = 20_000): Promise<void> {
  const deadline = performance.now() + limitMs;
  while (!(await ready())) {
    if (performance.now() > deadline) throw new Error(`not within ${limitMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
