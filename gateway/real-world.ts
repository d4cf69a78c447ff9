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
    randomBytes: (length) => (length <= MAX_POOLED ? pooled(length) : new Uint8Array(randomBytes(length))),
    random: Math.random,
    fetch,
    httpFetch,
    connect: connectUpstream,
  };
}

/** Ids and keys are short; one question to the generator costs as much as many of them. */
const MAX_POOLED = 32;
const POOL_BYTES = 1024;
let pool = new Uint8Array(0);
let used = 0;

/** Bytes that nobody was given before; the pool keeps none of what it gave. */
function pooled(length: number): Uint8Array {
  if (used + length > pool.length) {
    pool = new Uint8Array(randomBytes(POOL_BYTES));
    used = 0;
  }
  const given = new Uint8Array(length);
  // So few bytes are copied and wiped sooner than the engine is asked to.
  for (let i = 0; i < length; i += 1) {
    given[i] = pool[used] ?? 0;
    pool[used] = 0;
    used += 1;
  }
  return given;
}
