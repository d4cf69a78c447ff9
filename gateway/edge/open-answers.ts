/**
 * Answers that a server has still to write. Node counts a connection that never sent a request as a busy one, so a close
 * that waits for connections waits for such an agent; this one waits for those.
 */

import type { Server } from "node:http";

/** Counts answers. */
export interface OpenAnswers {
  /** Resolves when no answer is open: each was written, or its agent has gone. */
  readonly written: () => Promise<void>;
}

/** Counts the answers of every request that this server takes from now on. */
export function countAnswers(server: Server): OpenAnswers {
  const waiting: (() => void)[] = [];
  let open = 0;
  server.on("request", (_request, response) => {
    open += 1;
    response.once("close", () => {
      open -= 1;
      if (open === 0) for (const resolve of waiting.splice(0)) resolve();
    });
  });
  return { written: () => (open === 0 ? Promise.resolve() : new Promise((resolve) => waiting.push(resolve))) };
}
