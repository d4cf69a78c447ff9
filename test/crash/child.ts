/** The runner's side of a process: start, plan, wait for a stall, kill. */

import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { Report } from "./child-side.ts";
import type { Plan, Step } from "./steps.ts";

/** How long a process may take to start before that is a failure. */
const START_LIMIT_MS = 60_000;

/** A process of the crash suite. */
export class Child {
  readonly #process: ChildProcess;
  readonly #gone: Promise<unknown>;
  readonly #ready: Promise<string | undefined>;
  readonly #stalled: Promise<Step>;
  #toldAtMs = performance.now();

  /**
   * @param script  name of the process's file beside this one, without `.js`
   * @param onReport  told of every message
   */
  constructor(script: string, options: object, onReport: (report: Report) => void) {
    const path = fileURLToPath(new URL(`./${script}.js`, import.meta.url));
    this.#process = fork(path, [JSON.stringify(options)], { stdio: ["ignore", "ignore", "inherit", "ipc"] });
    this.#gone = once(this.#process, "exit");
    this.#stalled = new Promise((resolve) => {
      this.#process.on("message", (report: Report) => {
        if (report.kind === "stalled") resolve(report.step);
      });
    });
    this.#ready = new Promise((resolve) => {
      this.#process.on("message", (report: Report) => {
        if (report.kind === "started") resolve(report.url);
      });
      this.#process.once("exit", () => resolve(undefined));
      void this.#stalled.then(() => resolve(undefined));
    });
    this.#process.on("message", (report: Report) => {
      this.#toldAtMs = performance.now();
      onReport(report);
    });
  }

  /** Address of the service; undefined if it stalled, was killed or ended before it listened. */
  async ready(): Promise<string | undefined> {
    return within(this.#ready, START_LIMIT_MS, "the process neither listened nor stalled");
  }

  /** True while the process runs. */
  get isAlive(): boolean {
    return this.#process.exitCode === null && this.#process.signalCode === null;
  }

  /** Resolves to the step at which the process stands, or to undefined after `limitMs`. */
  stalled(limitMs: number): Promise<Step | undefined> {
    return Promise.race([this.#stalled, pause(limitMs).then(() => undefined)]);
  }

  /** Gives the process a plan while it runs. */
  arm(plan: Plan): void {
    if (this.isAlive) this.#process.send(plan);
  }

  /** `kill -9`; resolves when the process is gone. */
  async kill(): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#gone;
  }

  /**
   * SIGTERM; resolves when the process has closed everything.
   *
   * @param limitMs  in which it must end, or tell something
   * @throws if it does neither, or if it failed at closing
   */
  async stop(limitMs: number = START_LIMIT_MS): Promise<void> {
    this.#process.kill("SIGTERM");
    this.#toldAtMs = performance.now();
    while (this.isAlive) {
      const silentMs = performance.now() - this.#toldAtMs;
      if (silentMs >= limitMs) throw new Error(`the process did not end, and said nothing for ${limitMs} ms`);
      await Promise.race([this.#gone, pause(limitMs - silentMs)]);
    }
    if (this.#process.exitCode !== 0) throw new Error(`the process ended with ${this.#process.exitCode}`);
  }
}

/** Resolves after `ms`. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms).unref();
  });
}

async function within<T>(promise: Promise<T>, limitMs: number, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} within ${limitMs} ms`)), limitMs);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
