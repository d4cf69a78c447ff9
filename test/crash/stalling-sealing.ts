/** The gateway's sealing thread with a stall at the writes of its stream; plans and stalls go over a channel of the process. */

import type { MessagePort } from "node:worker_threads";
import { BroadcastChannel } from "node:worker_threads";
import type { SealingOrder } from "../../gateway/receipts/sealing-messages.ts";
import { serveOver } from "../../gateway/receipts/sealing-thread.ts";
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

/** The serving thread's side. @returns gives the sealing thread a plan */
export function watchSealing(onStall: (step: Step) => void): (plan: Plan) => void {
  const channel = openChannel();
  channel.onmessage = ({ data }: { readonly data: { readonly stalled?: Step } }) => {
    if (data.stalled !== undefined) onStall(data.stalled);
  };
  return (plan) => channel.postMessage({ plan });
}

function openChannel(): BroadcastChannel {
  const channel = new BroadcastChannel(CHANNEL);
  channel.unref();
  return channel;
}
