/** The side of a process that is killed: its start options, its stall, what it tells the runner. */

import { inspect } from "node:util";
import { Stall } from "./stall.ts";
import type { StartCost } from "./start-cost.ts";
import type { Plan, Step } from "./steps.ts";

/** A message to the runner. */
export type Report =
  | { readonly kind: "started"; readonly url: string; readonly cost?: StartCost }
  | { readonly kind: "stalled"; readonly step: Step }
  | { readonly kind: "call"; readonly state: "dispatched" | "answered"; readonly seq: number }
  /** It goes on with its end. */
  | { readonly kind: "ending"; readonly left: number }
  | { readonly kind: "fault"; readonly what: string };

/** Tells the runner; resolves when the message has left this process. */
export function report(message: Report): Promise<void> {
  return new Promise((resolve) => {
    if (process.send === undefined) return resolve();
    process.send(message, () => resolve());
  });
}

/** Options of this process: the JSON of its first argument. */
export function startOptions<T>(): T {
  return JSON.parse(process.argv[2] ?? "{}");
}

/** The stall of this process; the runner can give it another plan. */
export function makeStall(plan: Plan | undefined): Stall {
  const stall = new Stall(plan, (step) => void report({ kind: "stalled", step }));
  relayPlans((next) => stall.arm(next));
  return stall;
}

/** Gives the runner's plans to whoever stalls. Ends the process when the runner is gone. */
export function relayPlans(arm: (plan: Plan) => void): void {
  process.on("message", arm);
  process.once("disconnect", () => process.exit(1));
}

/** A logger that tells the runner of errors alone. */
export const logger = {
  info: (): void => undefined,
  warn: (): void => undefined,
  error: (fields: object, message: string): void => {
    const { err }: { readonly err?: unknown } = fields;
    void report({ kind: "fault", what: `${message}: ${inspect(err ?? fields)}` });
  },
};

/** Closes and ends the process on SIGTERM. */
export function endOnTerm(close: () => Promise<void>): void {
  process.once("SIGTERM", () => void close().then(() => process.exit(0)));
}
