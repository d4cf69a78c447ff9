/** The real clock, generator, network and child processes. */

import { randomBytes } from "node:crypto";
import type { World } from "./options.ts";
import { connectUpstream } from "./upstream/upstream.ts";

/** The world as it is. */
export function realWorld(): World {
  return {
    nowMs: Date.now,
    monotonicMs: () => performance.now(),
    schedule: (ms, run) => {
      const timer = setInterval(run, ms);
      timer.unref();
      return () => clearInterval(timer);
    },
    sleep: sleepUntil,
    randomBytes: (length) => new Uint8Array(randomBytes(length)),
    random: Math.random,
    fetch,
    connect: connectUpstream,
    wrapLog: (log) => log,
  };
}

function sleepUntil(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) {
      resolve();
      return;
    }
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    // Keeps the process: over stdio nothing else does while the outbox drains.
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done, { once: true });
  });
}
