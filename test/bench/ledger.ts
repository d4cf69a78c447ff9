/**
 * Admission to the ledger against a bare server that only appends and syncs, in the same run, by the same client, over
 * loopback; ledger, client and disk share the machine. Every answer counted was given after the sync.
 */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SUBMIT } from "../support/ledger-service.ts";
import type { Bench, BenchContext } from "./harness.ts";
import { prepareBodies } from "./ledger-bodies.ts";
import { load, printRow, rateOf, startServer } from "./load.ts";

const ENTRY_BYTES = 300;
const ADD = { path: "/add", headers: SUBMIT, bodies: { kind: "random", bytes: ENTRY_BYTES } } as const;

/** Shortest time of one measurement: below it, a handful of syncs decide. */
const MIN_MS = 300;
const SEGMENT_RECEIPTS = 256;

/** Admission benchmarks. */
export const bench: Bench = async (context) => {
  const folder = await mkdtemp(join(tmpdir(), "countersign-bench-"));
  try {
    for (const connections of [64, 512]) await benchRaw(context, folder, connections);
    await benchSigned(context, folder, { name: "receipts, one a request", connections: 64, receipts: 1 });
    await benchSigned(context, folder, {
      name: `segments of ${SEGMENT_RECEIPTS} receipts`,
      connections: 8,
      receipts: SEGMENT_RECEIPTS,
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
};

/** Measures the bare server and then the ledger, each warmed up; closes both. */
async function benchRaw(context: BenchContext, folder: string, connections: number): Promise<void> {
  context.print(`\nledger: unique entries of ${ENTRY_BYTES} B, one a request, ${connections} connections`);
  const milliseconds = Math.max(MIN_MS, context.budgetMs * 5);
  const baseline = await startServer("ledger-baseline.js", [join(folder, "baseline")]);
  const ledger = await startServer("ledger-process.js", [join(folder, `raw-${connections}`), "0", "raw"]);
  const job = { ...ADD, connections, milliseconds };
  try {
    for (const { port } of [baseline, ledger]) await load({ ...job, port, milliseconds: milliseconds / 3 });
    const bare = await load({ ...job, port: baseline.port });
    printRow(context, "bare node:http + fdatasync", bare, 1, rateOf(bare));
    printRow(context, "ledger", await load({ ...job, port: ledger.port }), 1, rateOf(bare));
  } finally {
    await baseline.stop();
    await ledger.stop();
  }
}

interface SignedCase {
  readonly name: string;
  readonly connections: number;
  /** Receipts of a request. */
  readonly receipts: number;
}

/** Signed receipts, every signature verified before the answer; each connection sends one stream, in its order. */
async function benchSigned(context: BenchContext, folder: string, of: SignedCase): Promise<void> {
  const { connections, receipts } = of;
  const ledger = await startServer("ledger-process.js", [join(folder, `signed-${receipts}`), "0", "receipts"]);
  const baseline = await startServer("ledger-baseline.js", [join(folder, "baseline")]);
  const share = context.isQuick ? 8 : 1;
  const requests = Math.ceil((receipts === 1 ? 320 : 16) / share);
  const url = `http://127.0.0.1:${ledger.port}`;
  const seed = receipts === 1 ? 10 : 30;
  const bodies = await prepareBodies({ folder, url, connections, requests, receipts, seed });
  context.print(
    `\nledger: ${of.name}, ${bodies.receiptBytes} B a receipt, ${connections} connections; receipts a second`,
  );
  const [path, type] = receipts === 1 ? ["/receipts", "application/json"] : ["/segments", "application/x-ndjson"];
  const headers = { ...SUBMIT, "content-type": type };
  const job = {
    path,
    headers,
    connections,
    milliseconds: 60_000,
    bodies: { kind: "files", paths: bodies.paths },
  } as const;
  try {
    const bare = await load({ ...job, port: baseline.port });
    const baselineRate = rateOf(bare) * receipts;
    printRow(context, "bare node:http + fdatasync", bare, receipts, baselineRate);
    printRow(context, "ledger", await load({ ...job, port: ledger.port }), receipts, baselineRate);
  } finally {
    await baseline.stop();
    await ledger.stop();
  }
}
