/**
 * Admission to the ledger against a bare server that only appends and syncs, in the same run, by the same client, over
 * loopback; ledger, client and disk share the machine. Every answer counted was given after the sync.
 */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { SUBMIT } from "../support/ledger-service.ts";
import { processorTimeOf } from "./bars/processor-time.ts";
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
    for (const signed of SIGNED) await benchSigned(context, folder, signed);
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
  readonly content: "calls" | "heartbeats";
  readonly connections: number;
  /** Requests or frames of a connection. */
  readonly requests: number;
  /** Receipts of a request. */
  readonly receipts: number;
  /** Over one long request a connection, with so many frames under way. */
  readonly window?: number;
}

const SEGMENTS = { receipts: SEGMENT_RECEIPTS, connections: 4 } as const;
/** The smallest receipts, and those that a gateway emits for calls. */
const SIGNED: readonly SignedCase[] = [
  { name: "receipts, one a request", content: "calls", connections: 512, requests: 40, receipts: 1 },
  {
    name: "receipts, one a line of 8 streams",
    content: "calls",
    connections: 8,
    requests: 2560,
    receipts: 1,
    window: 128,
  },
  {
    name: "small receipts, one a line of 8 streams",
    content: "heartbeats",
    connections: 8,
    requests: 4000,
    receipts: 1,
    window: 128,
  },
  { name: "segments of 256 receipts", content: "calls", requests: 40, ...SEGMENTS },
  { name: "segments of 256 small receipts", content: "heartbeats", requests: 160, ...SEGMENTS },
  { name: "segments of 256 small receipts, 4 streams", content: "heartbeats", requests: 160, ...SEGMENTS, window: 4 },
];

/** Signed receipts; each connection sends one stream, in its order. */
async function benchSigned(context: BenchContext, folder: string, of: SignedCase): Promise<void> {
  const { connections, receipts, content, window } = of;
  const id = SIGNED.indexOf(of);
  const ledger = await startServer("ledger-process.js", [join(folder, `signed-${id}`), "0", "receipts"]);
  const baseline = await startServer("ledger-baseline.js", [join(folder, "baseline")]);
  const requests = Math.ceil(of.requests / (context.isQuick ? 8 : 1));
  const url = `http://127.0.0.1:${ledger.port}`;
  const bodies = await prepareBodies({
    folder,
    url,
    connections,
    requests,
    receipts,
    content,
    isFramed: window !== undefined,
  });
  context.print(`\nledger: ${of.name}, ${bodies.receiptBytes} B each, ${connections} connections; receipts a second`);
  const isSingle = receipts === 1;
  const [path, type] = isSingle ? ["/receipts", "application/json"] : ["/segments", "application/x-ndjson"];
  const job = { path, headers: { ...SUBMIT, "content-type": type }, connections, milliseconds: 60_000 } as const;
  const files = { bodies: { kind: "files", paths: bodies.paths } } as const;
  const long = { path: "/stream", headers: { ...SUBMIT, "content-type": "application/x-ndjson" }, window };
  try {
    const bare = await load({ ...job, ...files, port: baseline.port });
    const baselineRate = rateOf(bare) * receipts;
    printRow(context, "bare node:http + fdatasync", bare, receipts, baselineRate);
    const before = await processorTimeOf(ledger.pid);
    const result = await load({ ...job, ...(window === undefined ? {} : long), ...files, port: ledger.port });
    const admitted = await processorTimeOf(ledger.pid);
    printRow(context, "ledger", result, receipts, baselineRate);
    const total = result.requests * receipts;
    const checked = await untilChecked(url);
    const all = await processorTimeOf(ledger.pid);
    const micros = (seconds: number): string => `${((seconds * 1e6) / total).toFixed(1)} us`;
    const both = Math.round(total / ((result.milliseconds + checked) / 1000)).toLocaleString("en-US");
    context.print(
      `  CPU a receipt: serving thread ${micros(admitted.serving - before.serving)}, whole process until all are checked ` +
        `${micros(all.all - before.all)}; ${both}/s admitted and checked`,
    );
  } finally {
    await baseline.stop();
    await ledger.stop();
  }
}

/** Milliseconds until the background checks have read everything. */
async function untilChecked(url: string): Promise<number> {
  const started = performance.now();
  for (;;) {
    const status: { readonly size: number; readonly checked_size: number } = JSON.parse(
      await (await fetch(`${url}/readyz`)).text(),
    );
    if (status.size === status.checked_size) return performance.now() - started;
    await setTimeout(50);
  }
}
