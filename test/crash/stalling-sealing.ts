/** The gateway's sealing thread with a stall at the writes of its stream; plans and stalls go over a channel of the process. */

import type { MessagePort } from "node:worker_threads";
import { BroadcastChannel } from "node:worker_threads";
import type { SealingOrder } from "../../gateway/receipts/sealing-messages.ts";
import { serveOver } from "../../gateway/receipts/sealing-thread.ts";
import type { StreamLog } from "../../gateway/receipts/stream-log.ts";
import { Stall, stallingFrames } from "./stall.ts";
import type { Plan, Step } from "./steps.ts";

const CHANNEL = "stall";

/** Serves as the sealing thread. */
export function serve(port: MessagePort, order: SealingOrder): void {
  const channel = openChannel();
  const stall = new Stall(undefined, (step) => channel.postMessage({ stalled: step }));
  channel.onmessage = ({ data }: { readonly data: { readonly plan?: Plan } }) => {
    if (data.plan !== undefined) stall.arm(data.plan);
  };
  serveOver(port, order, (log) => stallingFrames(log, stall));
}

/** The serving thread's side: its own writes stall as the sealing thread's do, whichever come first. */
export interface WatchedSealing {
  /** Gives both threads a plan. */
  readonly arm: (plan: Plan) => void;
  readonly wrapLog: (log: StreamLog) => StreamLog;
}

/** @param onStall  told where one of the two stands */
export function watchSealing(onStall: (step: Step) => void): WatchedSealing {
  const channel = openChannel();
  const stall = new Stall(undefined, onStall);
  channel.onmessage = ({ data }: { readonly data: { readonly stalled?: Step } }) => {
    if (data.stalled !== undefined) onStall(data.stalled);
  };
  return {
    arm: (plan) => {
      stall.arm(plan);
      channel.postMessage({ plan });
    },
    wrapLog: (log) => stallingFrames(log, stall),
  };
}

function openChannel(): BroadcastChannel {
  const channel = new BroadcastChannel(CHANNEL);
  channel.unref();
  return channel;
}
