/** A wait that an abort ends. */

import type { CancelSignal } from "./cancellation.ts";

/** Resolves after `ms`, or at once when `signal` is aborted. */
export function pause(ms: number, signal: CancelSignal): Promise<void> {
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
