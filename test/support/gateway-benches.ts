/** Benches of a test file over one fake ledger: each has a world, and so keys and a stream, of its own; all end with their test. */

import { afterAll, afterEach, beforeAll } from "vitest";
import type { GatewayRun } from "../../gateway/run.ts";
import { type FakeLedger, startFakeLedger } from "./fake-ledger.ts";
import { type BenchOptions, type GatewayBench, makeGatewayBench } from "./gateway-run.ts";
import { makeManualWorld } from "./manual-world.ts";

/** What the tests of a file make. */
export interface GatewayBenches {
  readonly ledgerUrl: () => string;
  /** Those of the running test, in their order. */
  readonly all: readonly GatewayBench[];
  readonly make: (options?: BenchOptions) => GatewayBench;
  readonly open: (bench: GatewayBench) => Promise<GatewayRun>;
  /** Runs when the test has ended, in the order of the calls. */
  readonly later: (close: () => Promise<void>) => void;
}

/** Call it once in a file. @param seed  of the file's worlds */
export function gatewayBenches(seed: string): GatewayBenches {
  let ledger: FakeLedger | undefined;
  let made = 0;
  const all: GatewayBench[] = [];
  const closers: (() => Promise<void>)[] = [];
  const ledgerUrl = (): string => {
    if (ledger === undefined) throw new Error("the ledger has not started");
    return ledger.url;
  };
  beforeAll(async () => {
    ledger = await startFakeLedger();
  });
  afterAll(() => ledger?.close());
  afterEach(async () => {
    for (const close of closers.splice(0)) await close();
    for (const bench of all.splice(0)) bench.remove();
  });
  return {
    ledgerUrl,
    all,
    make: (options = {}) => {
      made += 1;
      const bench = makeGatewayBench(ledgerUrl(), { world: makeManualWorld(undefined, `${seed} ${made}`), ...options });
      all.push(bench);
      return bench;
    },
    open: async (bench) => {
      const run = await bench.open();
      closers.push(run.close);
      return run;
    },
    later: (close) => void closers.push(close),
  };
}
