/** Child processes of `countersign up`: one per service, logs in files, readiness by HTTP, stopped in reverse order. */

import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { StoreError } from "../../kernel/errors.ts";

const READY_POLL_MS = 50;
const READY_LIMIT_MS = 20_000;
const STOP_LIMIT_MS = 15_000;
const LOG_TAIL_CHARACTERS = 2_000;

/** One service to run: its name, the words after `countersign`, and the address that says when it is ready. */
export interface ServicePlan {
  readonly name: string;
  readonly args: readonly string[];
  readonly readyUrl: string;
}

/** The running children. */
export interface Processes {
  /** Starts a service and resolves when it is ready. @throws {StoreError} ERR_SERVICE_START with the end of its log */
  readonly start: (plan: ServicePlan) => Promise<void>;
  /** Ends all children, newest first: SIGTERM, then SIGKILL after 15 s. */
  readonly stop: () => Promise<void>;
}

/** @param logFolder  where each child's output goes, one file a service, appended */
export function makeProcesses(logFolder: string): Processes {
  const children: { readonly plan: ServicePlan; readonly child: ChildProcess }[] = [];
  mkdirSync(logFolder, { recursive: true });
  return {
    start: async (plan) => {
      const logPath = join(logFolder, `${plan.name}.log`);
      const before = existsSync(logPath) ? readFileSync(logPath, "utf8").length : 0;
      const child = spawnService(plan, logPath);
      children.push({ plan, child });
      await untilReady(plan, child, () => readFileSync(logPath, "utf8").slice(before));
    },
    stop: async () => {
      for (const { child } of children.splice(0).reverse()) await stopChild(child);
    },
  };
}

function spawnService(plan: ServicePlan, logPath: string): ChildProcess {
  const command = fileURLToPath(new URL("../main.js", import.meta.url));
  const log = openSync(logPath, "a", 0o600);
  try {
    // A group of its own: Ctrl-C reaches `up` alone, which then stops the services in order.
    return spawn(process.execPath, [command, ...plan.args], { stdio: ["ignore", log, log], detached: true });
  } finally {
    closeSync(log);
  }
}

/** @param readLog  what the child has printed so far */
async function untilReady(plan: ServicePlan, child: ChildProcess, readLog: () => string): Promise<void> {
  const deadline = performance.now() + READY_LIMIT_MS;
  while (performance.now() < deadline && child.exitCode === null && child.signalCode === null) {
    // The line first: something else may answer at that address, and is not the service that was started.
    if (saysItListens(child, readLog()) && (await answersOk(plan.readyUrl))) return;
    await pause(READY_POLL_MS);
  }
  const ended = child.exitCode === null && child.signalCode === null ? "is not ready after 20 s" : "ended at its start";
  const tail = readLog().slice(-LOG_TAIL_CHARACTERS).trim();
  throw new StoreError("ERR_SERVICE_START", `${plan.name} ${ended}; the end of its log:\n${tail}`);
}

/** True once the child has printed its readiness line, which names its process. */
function saysItListens({ pid }: ChildProcess, printed: string): boolean {
  return printed.includes(`"pid":${pid}}\n`);
}

/** True if `url` answers 200 within a second. */
export async function answersOk(url: string): Promise<boolean> {
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(1_000) });
    await answer.arrayBuffer();
    return answer.ok;
  } catch {
    return false;
  }
}

/** Resolves after `ms` milliseconds. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

async function stopChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  child.kill("SIGTERM");
  const limit = setTimeout(() => child.kill("SIGKILL"), STOP_LIMIT_MS);
  await ended;
  clearTimeout(limit);
}
