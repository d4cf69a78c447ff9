/** What goes wrong on purpose: the ledger is killed and comes back, is stopped and comes back, and one server hangs for a while. */

import type { House } from "./house.ts";

/** One trouble, at a share of the time. */
interface Trouble {
  readonly at: number;
  readonly what: string;
  readonly run: (house: House) => Promise<unknown>;
}

const TROUBLES: readonly Trouble[] = [
  { at: 0.15, what: "ledger killed", run: ({ topology }) => topology.end("ledger", "SIGKILL") },
  { at: 0.3, what: "ledger back", run: ({ topology }) => topology.start("ledger") },
  { at: 0.4, what: "server hangs", run: ({ ask }) => ask("stuck", "/hang") },
  { at: 0.55, what: "server answers again", run: ({ ask }) => ask("stuck", "/go") },
  { at: 0.6, what: "ledger stopped", run: ({ topology }) => topology.end("ledger", "SIGTERM") },
  { at: 0.75, what: "ledger back", run: ({ topology }) => topology.start("ledger") },
];

/** Runs them all, each at its time, or at once when its time is over. */
export async function runTroubles(
  house: House,
  milliseconds: number,
  say: (what: string, seconds: number) => void,
): Promise<void> {
  const started = performance.now();
  for (const { at, what, run } of TROUBLES) {
    const wait = at * milliseconds - (performance.now() - started);
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
    await run(house);
    say(what, Math.round((performance.now() - started) / 1000));
  }
}
