/** Programs of others as child processes: run to the end, or kept running until all are stopped. */

import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { createInterface } from "node:readline";
import { promisify } from "node:util";

const RUN_LIMIT_MS = 90_000;
const START_LIMIT_MS = 10_000;
const execute = promisify(execFile);

/** Programs that run until `stopAll`. */
export class Processes {
  readonly #running: ChildProcess[] = [];

  /**
   * Starts a program and waits until a line of its output satisfies `isReady`.
   *
   * @returns that line
   */
  async start(file: string, args: readonly string[], isReady: (line: string) => boolean): Promise<string> {
    const child = spawn(file, args, { stdio: ["ignore", "pipe", "pipe"] });
    this.#running.push(child);
    const lines: string[] = [];
    return new Promise((resolve, reject) => {
      const fail = (why: string): void => reject(new Error(`${file} ${why}: ${lines.slice(-5).join(" | ")}`));
      const limit = setTimeout(() => fail("did not become ready"), START_LIMIT_MS);
      child.once("error", (error) => fail(error.message));
      child.once("exit", (code) => fail(`ended with ${code}`));
      for (const input of [child.stdout, child.stderr]) {
        createInterface({ input }).on("line", (line) => {
          lines.push(line);
          if (!isReady(line)) return;
          clearTimeout(limit);
          resolve(line);
        });
      }
    });
  }

  /** Ends every program that was started here, newest first. */
  async stopAll(): Promise<void> {
    for (const child of this.#running.toReversed()) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const gone = once(child, "exit");
      child.kill("SIGKILL");
      await gone;
    }
  }
}

/** Runs a program to its end. @returns what it wrote to standard output @throws if it fails or takes too long */
export async function run(
  file: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<string> {
  const options = { timeout: RUN_LIMIT_MS, maxBuffer: 16 * 1024 * 1024, env: { ...process.env, ...env } };
  const { stdout } = await execute(file, [...args], options);
  return stdout;
}

/** A port of the loopback that is free now: for programs that cannot say which one they took. */
export async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("the loopback gave no port");
  return address.port;
}
