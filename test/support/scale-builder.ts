/**
 * Grows a raw log through the ledger's own code, as fast as it takes entries; measures admission, proofs and memory at the
 * size that is asked for; then goes on writing until it is killed. A process of its own, from dist/.
 *
 *     node scale-builder.js <JSON of ScaleJob>
 */

import { formatUtf8 } from "../../kernel/bytes.ts";
import { hashLeaf } from "../../kernel/merkle/hash.ts";
import { appendRaw } from "../../ledger/admission/raw.ts";
import { type Ledger, openLedger } from "../../ledger/ledger.ts";
import type { Proposal } from "../../ledger/sequence/proposal.ts";
import { eventually, ledgerOptions } from "./ledger-service.ts";

/** What is built. */
export interface ScaleJob {
  readonly dataDir: string;
  readonly entries: number;
  readonly entryBytes: number;
  /** Entries that are admitted one by one, and proofs that are made, for the measurement. */
  readonly samples: number;
}

/** What was measured at a size. */
export interface ScaleResult {
  readonly size: number;
  readonly fillSeconds: number;
  /** Microseconds an entry, admitted one by one with 512 in flight: by the clock, and of the main thread's time. */
  readonly admissionUs: number;
  readonly admissionCpuUs: number;
  /** Milliseconds of single log proofs, one after the other. */
  readonly proofP50Ms: number;
  readonly proofP99Ms: number;
  /** MiB. */
  readonly rss: number;
  readonly heap: number;
  readonly external: number;
}

/** A message to the one who started this process. */
export type ScaleReport =
  | { readonly kind: "filled"; readonly size: number }
  | { readonly kind: "measured"; readonly result: ScaleResult }
  | { readonly kind: "fault"; readonly what: string };

const BATCH = 4096;
const IN_FLIGHT = 3;
const SINGLES_IN_FLIGHT = 512;
const MIB = 1024 * 1024;
const REPORT_EACH = 100_000;

process.once("disconnect", () => process.exit(1));
const job: ScaleJob = JSON.parse(process.argv[2] ?? "{}");
const fault = (fields: object, message: string): void =>
  tell({ kind: "fault", what: `${message} ${JSON.stringify(fields)}` });
const logger = { info: () => undefined, warn: () => undefined, error: fault };
const config = { checkpoint_ms: 200, witness_ms: 1000 } as const;
const ledger = await openLedger(ledgerOptions(job.dataDir, logger, { config, signing: "worker" }));
/** Another text for every entry of every run on the folder. */
let next = sizeOf(ledger);
const started = performance.now();
await fillTo(job.entries);
const fillSeconds = (performance.now() - started) / 1000;
tell({ kind: "measured", result: await measure() });
await fillTo(Number.POSITIVE_INFINITY);

function tell(report: ScaleReport): void {
  process.send?.(report);
}

function sizeOf({ log }: Ledger): number {
  return Number(log.tree.size);
}

function entryBytes(): Uint8Array {
  next += 1;
  return formatUtf8(`${next} `.padEnd(job.entryBytes, "abcdefgh"));
}

async function fillTo(size: number): Promise<void> {
  let reportedAt = sizeOf(ledger);
  const fill = async (): Promise<void> => {
    while (sizeOf(ledger) < size) {
      await ledger.log.sequencer.submit(batchOf(Math.min(BATCH, Math.max(1, size - sizeOf(ledger)))));
      if (sizeOf(ledger) - reportedAt < REPORT_EACH) continue;
      reportedAt = sizeOf(ledger);
      tell({ kind: "filled", size: reportedAt });
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, fill));
}

function batchOf(length: number): Proposal<void> {
  const pending = Array.from({ length }, () => {
    const bytes = entryBytes();
    return { bytes, leaf: hashLeaf(bytes) };
  });
  return { entries: pending, decide: () => ({ entries: pending, settle: () => undefined }) };
}

async function measure(): Promise<ScaleResult> {
  const admission = await measureAdmission();
  const { published_size: covered } = await eventually(async () => {
    const status = ledger.status();
    return status.published_size >= job.entries ? status : undefined;
  });
  const proofs = await measureProofs(covered);
  const { rss, heapUsed, external } = process.memoryUsage();
  const inMib = (bytes: number): number => Math.round(bytes / MIB);
  return {
    size: sizeOf(ledger),
    fillSeconds,
    ...admission,
    ...proofs,
    rss: inMib(rss),
    heap: inMib(heapUsed),
    external: inMib(external),
  };
}

async function measureAdmission(): Promise<Pick<ScaleResult, "admissionUs" | "admissionCpuUs">> {
  const { sequencer } = ledger.log;
  let left = job.samples;
  const begun = performance.now();
  const before = performance.eventLoopUtilization();
  const submit = async (): Promise<void> => {
    for (; left > 0; left -= 1) await appendRaw(sequencer, entryBytes());
  };
  await Promise.all(Array.from({ length: SINGLES_IN_FLIGHT }, submit));
  const { active } = performance.eventLoopUtilization(before);
  const us = (milliseconds: number): number => (milliseconds * 1000) / job.samples;
  return { admissionUs: us(performance.now() - begun), admissionCpuUs: us(active) };
}

/** @param size  of the log that proofs can be made for; entries are asked for all over it, never the same twice in a row */
async function measureProofs(size: number): Promise<Pick<ScaleResult, "proofP50Ms" | "proofP99Ms">> {
  const times: number[] = [];
  const { signal } = new AbortController();
  for (let i = 0; i < job.samples / 4; i += 1) {
    const index = BigInt(Math.floor(size * ((i * 0.618_033_988_75) % 1)));
    const begun = performance.now();
    await ledger.proofs.prove({ index, signal, acceptLogged: true });
    times.push(performance.now() - begun);
  }
  const sorted = times.toSorted((a, b) => a - b);
  const at = (share: number): number => sorted[Math.floor(sorted.length * share)] ?? 0;
  return { proofP50Ms: at(0.5), proofP99Ms: at(0.99) };
}
