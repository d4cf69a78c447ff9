/**
 * What a run does by the clock: heartbeats in a silent stream, seals of sessions that are idle or too old, receipts of
 * counted refusals. One job never runs twice at a time; a failing one is reported and tried again.
 */

import { errorCode } from "../../kernel/errors.ts";
import type { Recorder } from "../receipts/recorder.ts";
import type { StreamBook } from "../receipts/stream-book.ts";
import type { RefusalTally } from "./refusal-tally.ts";
import type { SessionDesk } from "./session-desk.ts";

/** Calls `run` every `ms` until the returned function is called. */
export type Schedule = (ms: number, run: () => void) => () => void;

/** What the timekeeper works with. */
export interface TimekeeperOptions {
  readonly recorder: Recorder;
  readonly book: StreamBook;
  readonly desk: SessionDesk;
  readonly tally: RefusalTally;
  /** Longest silence that the stream declared. */
  readonly heartbeatMs: number;
  readonly sessionTtlMs: number;
  readonly schedule: Schedule;
  readonly onFault: (fields: { readonly code: string }, message: string) => void;
}

/** Window of the refusal tally. */
const TALLY_MS = 250;
const MAX_SWEEP_MS = 15_000;

/** Starts the jobs. @returns the function that stops them and waits for those that run */
export function startTimekeeper(options: TimekeeperOptions): () => Promise<void> {
  const { recorder, desk, tally, heartbeatMs, sessionTtlMs, schedule } = options;
  const jobs: readonly { everyMs: number; run: () => Promise<void>; isForAll?: boolean }[] = [
    // Looked at eight times in an interval, written after six: the silence never reaches the declared one.
    { everyMs: heartbeatMs / 8, run: () => beat(options, (heartbeatMs * 3) / 4) },
    { everyMs: Math.min(MAX_SWEEP_MS, sessionTtlMs / 20), run: () => desk.sealExpired() },
    // Also on a dead stream: those who wait for a count must learn that it will not come.
    { everyMs: TALLY_MS, run: () => tally.flush(), isForAll: true },
  ];
  const running = new Set<Promise<void>>();
  const stops = jobs.map(({ everyMs, run, isForAll = false }) => {
    let isRunning = false;
    return schedule(everyMs, () => {
      if (isRunning || (recorder.isFailed() && !isForAll)) return;
      isRunning = true;
      const done = run()
        .catch((error: unknown) => options.onFault({ code: errorCode(error) }, "a timed job failed"))
        .finally(() => {
          isRunning = false;
          running.delete(done);
        });
      running.add(done);
    });
  });
  return async () => {
    for (const stop of stops) stop();
    await Promise.all(running);
  };
}

async function beat({ recorder, book }: TimekeeperOptions, afterMs: number): Promise<void> {
  if (recorder.silenceMs() < afterMs) return;
  await recorder.append(() => ({
    kind: "heartbeat",
    open_sessions: book.openSessions().length,
    open_calls: book.callCount,
  }));
}
