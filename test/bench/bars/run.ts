/**
 * `npm run bench:ledger`: every row of DESIGN §10 that concerns ledger and witness, in one table, beside the peer.
 * `npm run bench:gateway`: those of the gateway, beside a bare passthrough.
 *
 *     node dist/test/bench/bars/run.js [--quick] [<row> ...]
 */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { measureFileCost } from "./file-cost.ts";
import { type BarsContext, type Figure, formatMachine, formatTable, type Measure } from "./frame.ts";
import { buildPeer, type FoundPeer } from "./peer.ts";

/** Name → file of the row, in the order of the table. */
const ROWS: Readonly<Record<string, () => Promise<{ readonly measure: Measure }>>> = {
  "raw-add": () => import("./raw-add.ts"),
  receipts: () => import("./receipts.ts"),
  growth: () => import("./growth.ts"),
  scale: () => import("./scale.ts"),
  "proof-check": () => import("./proof-check.ts"),
  witness: () => import("./witness.ts"),
  "whole-log": () => import("./whole-log.ts"),
  gateway: () => import("./gateway.ts"),
};

/** Rows that are measured only when they are named: the gateway is held against a bare passthrough, `scale` takes minutes and GBs. */
const NAMED_ROWS: readonly string[] = ["gateway", "scale"];
/** They have no peer. */
const NO_PEER: FoundPeer = { absence: "none is asked for" };

/** What is measured when nothing is named. */
const LEDGER_ROWS = Object.keys(ROWS).filter((name) => !NAMED_ROWS.includes(name));

const FULL = { loadMs: 2000, rounds: 3 };
const QUICK = { loadMs: 800, rounds: 1 };

/** Measures the rows named in `args`, or all of them. @returns the exit code */
async function run(args: readonly string[], print: (line: string) => void): Promise<number> {
  const isQuick = args.includes("--quick");
  const named = args.filter((argument) => argument !== "--quick");
  const unknown = named.filter((name) => !Object.hasOwn(ROWS, name));
  if (unknown.length > 0) {
    print(`unknown row ${unknown.join(", ")}; there are: ${Object.keys(ROWS).join(", ")}`);
    return 2;
  }
  const started = performance.now();
  const work = await mkdtemp(join(tmpdir(), "countersign-bars-"));
  try {
    print(formatMachine());
    print(await measureFileCost(work));
    const rows = named.length > 0 ? named : LEDGER_ROWS;
    const peer = rows.some((name) => !NAMED_ROWS.includes(name)) ? await buildPeer(work) : NO_PEER;
    print("absence" in peer ? `no peer: ${peer.absence}` : `peer: ${peer.name}`);
    if (isQuick) print("quick run: it shows that the benchmarks work; its numbers mean nothing");
    const context = {
      ...(isQuick ? QUICK : FULL),
      isQuick,
      startPeer: "absence" in peer ? undefined : peer.start,
      say: (line: string) => console.error(line),
    };
    const figures: Figure[] = [];
    for (const name of rows) figures.push(...(await row(name, work, context)));
    print(`\n${formatTable(figures)}\n`);
    print(`took ${((performance.now() - started) / 1000).toFixed(0)} s`);
    return 0;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** Its folder stays until all rows are measured: behind many deleted files new ones cost more (file-cost.ts). */
async function row(name: string, work: string, context: Omit<BarsContext, "folder">): Promise<readonly Figure[]> {
  context.say(`== ${name}`);
  const folder = await mkdtemp(join(work, `${name}-`));
  return (await (await ROWS[name]?.())?.measure({ ...context, folder })) ?? [];
}

process.exitCode = await run(process.argv.slice(2), (line) => console.log(line));
