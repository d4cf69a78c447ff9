/**
 * Runs benchmarks: `npm run bench` for all, `npm run bench kernel` for some, `npm run bench -- --quick` for a smoke run;
 * `npm run bench -- scale --entries 10000000` for a log of that size.
 */

import { availableParallelism, cpus } from "node:os";
import type { Bench, BenchContext } from "./harness.ts";

/** Name → module; each exports `bench`. */
const SUITES: Readonly<Record<string, () => Promise<{ readonly bench: Bench }>>> = {
  kernel: () => import("./kernel.ts"),
  receipts: () => import("./receipts.ts"),
  ledger: () => import("./ledger.ts"),
  witness: () => import("./witness.ts"),
  verifier: () => import("./verifier.ts"),
  scale: () => import("./scale.ts"),
};

const QUICK_MS = 20;
const FULL_MS = 600;

/** Runs the suites named in `args`, or all of them. Returns the exit code. */
async function run(args: readonly string[], print: (line: string) => void): Promise<number> {
  const isQuick = args.includes("--quick");
  const at = args.indexOf("--entries");
  const entries = at === -1 ? undefined : Number(args[at + 1]);
  if (entries !== undefined && !(Number.isSafeInteger(entries) && entries > 0)) {
    print("--entries: want a positive integer");
    return 2;
  }
  const names = args.filter((argument, i) => argument !== "--quick" && (at === -1 || (i !== at && i !== at + 1)));
  const unknown = names.filter((name) => !Object.hasOwn(SUITES, name));
  if (unknown.length > 0) {
    print(`unknown benchmark ${unknown.join(", ")}; there are: ${Object.keys(SUITES).join(", ")}`);
    return 2;
  }
  const context: BenchContext = {
    budgetMs: isQuick ? QUICK_MS : FULL_MS,
    isQuick,
    print,
    ...(entries === undefined ? {} : { entries }),
  };
  const cpu = cpus()[0]?.model.trim() ?? "unknown processor";
  print(`Node ${process.versions.node}, OpenSSL ${process.versions.openssl}, ${availableParallelism()} x ${cpu}`);
  if (isQuick) print("quick run: it shows that the benchmarks work; its numbers mean nothing");
  for (const name of names.length > 0 ? names : Object.keys(SUITES)) {
    const suite = await SUITES[name]?.();
    print(`\n== ${name}`);
    await suite?.bench(context);
  }
  return 0;
}

process.exitCode = await run(process.argv.slice(2), (line) => console.log(line));
