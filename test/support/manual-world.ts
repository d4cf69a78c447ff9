/** A gateway's world under a test's hand: a clock that moves when it is told, timers that fire then, a counted generator. */

import { createHash } from "node:crypto";
import { stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import type { World } from "../../gateway/options.ts";

/** The world, and the hand that moves it. */
export interface ManualWorld {
  readonly world: Omit<World, "connect" | "fetch" | "httpFetch" | "wrapLog">;
  readonly nowMs: () => number;
  /**
   * Moves the clock in steps of at most `stepMs` (default 5,000). After each step every timer that is due fires once,
   * as those of a busy process do, and the event loop turns until files had time to answer.
   */
  readonly advance: (ms: number, stepMs?: number) => Promise<void>;
}

const STEP_MS = 5_000;
const TURNS = 6;

interface Timer {
  readonly everyMs: number;
  dueMs: number;
  readonly run: () => void;
}

/** @param startMs  milliseconds since 1970 */
export function makeManualWorld(startMs = 1_790_000_000_000, seed = "world"): ManualWorld {
  const timers = new Set<Timer>();
  let nowMs = startMs;
  let drawn = 0;
  const advance = async (ms: number, stepMs = STEP_MS): Promise<void> => {
    const end = nowMs + ms;
    while (nowMs < end) {
      nowMs = Math.min(end, nowMs + stepMs);
      for (const timer of timers) {
        if (timer.dueMs > nowMs) continue;
        timer.dueMs = nowMs + timer.everyMs;
        timer.run();
      }
      await turns();
    }
  };
  return {
    nowMs: () => nowMs,
    advance,
    world: {
      nowMs: () => nowMs,
      monotonicMs: () => nowMs,
      schedule: (everyMs, run) => {
        const timer = { everyMs, dueMs: nowMs + everyMs, run };
        timers.add(timer);
        return () => timers.delete(timer);
      },
      // The outbox pauses in real time, a little: it talks to a real socket.
      sleep: async (ms) => new Promise((resolve) => setTimeout(resolve, Math.min(ms, 20))),
      randomBytes: (length) => {
        drawn += 1;
        return expand(`${seed} ${drawn}`, length);
      },
      random: () => 0.5,
    },
  };
}

/** Turns of the event loop, each behind a task of the file system: what a timer started has reached the disk by then. */
async function turns(): Promise<void> {
  for (let turn = 0; turn < TURNS; turn += 1) await stat(tmpdir());
}

/** Bytes that differ for each text. */
function expand(text: string, length: number): Uint8Array {
  const blocks = Array.from({ length: Math.ceil(length / 32) }, (_, i) =>
    createHash("sha256").update(`${text} ${i}`).digest(),
  );
  return new Uint8Array(Buffer.concat(blocks).subarray(0, length));
}
