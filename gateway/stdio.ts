/** A gateway for one agent over a pair of streams: no listener, no token, the local user as the caller. */

import type { Readable, Writable } from "node:stream";
import { runStdioEdge } from "./edge/stdio-edge.ts";
import type { GatewayOptions } from "./options.ts";
import { openRun } from "./run.ts";

/** The agent's side. */
export interface StdioSide {
  readonly input: Readable;
  /** Gets protocol and nothing else. */
  readonly output: Writable;
  /** Name of the local user whose process it is; policies see `LocalUser::"<name>"`. */
  readonly user: string;
  /** Aborted when the process is told to stop. */
  readonly signal: AbortSignal;
}

/**
 * Serves until the input ends or the signal is aborted; then seals, and brings the receipts to the ledger within a bound.
 *
 * @throws as `openRun`
 */
export async function serveStdio(options: GatewayOptions, { input, output, user, signal }: StdioSide): Promise<void> {
  const run = await openRun(options);
  try {
    await runStdioEdge({
      pipeline: run.pipeline,
      catalog: run.catalogReader,
      upstreams: run.upstreams,
      changes: run.changes,
      rules: run.rules,
      offers: run.offers,
      tagTask: run.tagTask,
      left: { tasks: run.leftTasks, stream: run.status().stream },
      nowMs: run.world.nowMs,
      randomBytes: run.world.randomBytes,
      logger: run.paced,
      software: options.software,
      limits: options.edgeLimits ?? {},
      inFlight: (call) => run.limits(call).inFlight,
      input,
      output,
      signal,
      caller: { issuer: "local", name: user, provenance: "connection-credential", outcome: "verified" },
    });
  } finally {
    await run.close();
  }
}
