/** The real clock, generator, network and child processes. */

import { randomBytes } from "node:crypto";
import type { World } from "./options.ts";
import { httpFetch } from "./upstream/http-client.ts";
import { pause } from "./upstream/pause.ts";
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
    sleep: pause,
    randomBytes: (length) => new Uint8Array(randomBytes(length)),
    random: Math.random,
    fetch,
    httpFetch,
    connect: connectUpstream,
    wrapLog: (log) => log,
  };
}
