/** A progress bar on standard error, drawn only on a terminal and at most ten times a second. */

import type { Io } from "./io.ts";

const WIDTH = 30;
const REDRAW_MS = 100;

/** Reports how far a long piece of work has come. */
export interface Progress {
  readonly update: (done: number, total: number) => void;
  /** Removes the bar. */
  readonly end: () => void;
}

/**
 * @param label  what is being done, in a few words
 * @param now  milliseconds of any clock
 */
export function makeProgress(label: string, io: Io, now: () => number): Progress {
  if (!io.isTerminal) return { update: () => undefined, end: () => undefined };
  let drawnAt = Number.NEGATIVE_INFINITY;
  return {
    update: (done, total) => {
      if (now() - drawnAt < REDRAW_MS && done < total) return;
      drawnAt = now();
      io.err(`\r${formatBar(label, done, total)}`);
    },
    end: () => io.err("\r\u001b[K"),
  };
}

/** One line: label, bar, percentage, counts. */
export function formatBar(label: string, done: number, total: number): string {
  const share = total === 0 ? 1 : Math.min(1, done / total);
  const filled = Math.round(share * WIDTH);
  const percent = String(Math.floor(share * 100)).padStart(3);
  return `${label} [${"#".repeat(filled)}${".".repeat(WIDTH - filled)}] ${percent} % ${done}/${total}`;
}
