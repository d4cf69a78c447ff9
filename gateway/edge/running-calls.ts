/** Requests of one agent that run, by their JSON-RPC id, so that a cancellation finds them. */

import { Cancellation, type CancelSignal } from "../upstream/cancellation.ts";
import type { RpcId } from "../wire/rpc.ts";

/** The requests of one session or pipe. An id that is used twice names both. */
export interface RunningCalls {
  readonly size: number;
  /** Registers a request; call `done` when it is answered. */
  readonly start: (id: RpcId) => { readonly signal: CancelSignal; readonly done: () => void };
  /** Cancels every request with this id; false if there is none. */
  readonly cancel: (id: RpcId) => boolean;
  readonly cancelAll: () => void;
  /** Resolves when every request that runs now has been answered. */
  readonly ended: () => Promise<void>;
}

/** Makes an empty table. @param onDone  told of each request that is answered */
export function makeRunningCalls(onDone: () => void = ignore): RunningCalls {
  const byId = new Map<RpcId, Set<Cancellation>>();
  const waiting: (() => void)[] = [];
  const cancel = (id: RpcId): boolean => {
    const running = byId.get(id);
    for (const signal of running ?? []) signal.abort();
    return running !== undefined;
  };
  return {
    get size() {
      return byId.size;
    },
    start: (id) => {
      const signal = new Cancellation();
      const running = byId.get(id) ?? new Set();
      byId.set(id, running.add(signal));
      const done = (): void => {
        running.delete(signal);
        if (running.size === 0 && byId.get(id) === running) byId.delete(id);
        onDone();
        if (byId.size === 0) for (const resolve of waiting.splice(0)) resolve();
      };
      return { signal, done };
    },
    cancel,
    cancelAll: () => {
      for (const id of [...byId.keys()]) cancel(id);
    },
    ended: () => (byId.size === 0 ? Promise.resolve() : new Promise((resolve) => waiting.push(resolve))),
  };
}

function ignore(): void {
  // Nobody counts how long nothing runs.
}
