/** stdio toward one agent: JSON lines in, JSON lines out, nothing else. */

import type { Readable, Writable } from "node:stream";
import { BugError } from "../../kernel/errors.ts";
import type { Caller } from "../pipeline/call.ts";
import type { EdgeOptions } from "./edge-options.ts";

/** One pair of streams is one launcher process: one session, minted by the gateway. */
export interface StdioEdgeOptions extends EdgeOptions {
  readonly input: Readable;
  readonly output: Writable;
  /** The local user whose process it is. */
  readonly caller: Caller;
  /** Aborted when the process is told to stop. */
  readonly signal: AbortSignal;
}

/** Serves until the input ends or the signal is aborted; calls in flight end first, within `closeMs`. */
export function runStdioEdge(options: StdioEdgeOptions): Promise<void> {
  throw new BugError(`runStdioEdge: ${options.caller.issuer}`);
}
