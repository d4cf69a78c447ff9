/**
 * One raw log that grows: what an entry costs, how long a log proof takes and how long a start after `kill -9` takes at each
 * size. Batches of 256 entries are submitted to the sequencer in the process, as the log's own admission does it, and are
 * acknowledged after the durable write.
 */

import { Agent, get } from "node:http";
import { join } from "node:path";
import { type Server, startServer } from "../load.ts";
import { fillLog, untilSize } from "./fill.ts";
import type { Spent } from "./filler.ts";
import { type BarsContext, type Figure, formatQuantity, quantile } from "./frame.ts";
import { peakMemoryOf } from "./processor-time.ts";

const SIZES = { full: [10_000, 100_000, 1_000_000], quick: [1000, 5000] };
const BATCH_ENTRIES = 256;
const BAR_ENTRIES_PER_SECOND = 250_000;
const BAR_PROOF_MS = 5;
const BAR_START_S = 5;
/** The size that this bar is for. */
const BAR_START_SIZE = 10_000_000;
const PROOFS = { full: 2000, quick: 100 };
/** Before those: a server that has answered some is warm, and these are told apart. */
const FIRST_PROOFS = { full: 500, quick: 20 };

/** Entries that are measured alone at each size. */
const SAMPLE_BATCHES = { full: 400, quick: 8 };

/** The log at one size. */
export interface Stage {
  readonly size: number;
  /** Of filling it up to here. */
  readonly perSecond: number;
  /** Processor time of an entry, all threads. */
  readonly entryUs: number;
  /** The same of entries that were added at this size. */
  readonly perSecondHere: number;
  readonly entryUsHere: number;
  readonly startS: number;
  /** Sorted. */
  readonly proofMs: readonly number[];
  /** The first ones behind the start, sorted. */
  readonly firstProofMs: readonly number[];
  readonly memoryMb: number;
}

/** Cost against size, log proofs, restart. */
export async function measure(context: BarsContext): Promise<readonly Figure[]> {
  return figuresOf(await growTo(context, context.isQuick ? SIZES.quick : SIZES.full));
}

/** One log, measured at each of these sizes. @param onSize  told of its size while it is filled */
export async function growTo(
  context: BarsContext,
  sizes: readonly number[],
  onSize: (size: number) => void = () => undefined,
): Promise<readonly Stage[]> {
  const stages: Stage[] = [];
  for (const size of sizes) stages.push(await grow(context, size, onSize));
  return stages;
}

/** The lines of the table about a log that grew. */
export function figuresOf(stages: readonly Stage[]): readonly Figure[] {
  const [least, most] = [stages[0], stages.at(-1)];
  if (least === undefined || most === undefined) throw new Error("no stage");
  const growth = `from ${count(least)} to ${count(most)} entries`;
  const all = (read: (stage: Stage) => string): string => notedOf(stages, read);
  return [
    {
      what: `raw batches of ${BATCH_ENTRIES} entries of 300 B, in the process, up to ${count(most)}`,
      value: most.perSecond,
      unit: "/s",
      bar: BAR_ENTRIES_PER_SECOND,
      note: all(
        ({ perSecond, entryUs }) => `${formatQuantity(perSecond, "/s")} and ${entryUs.toFixed(1)} us all threads`,
      ),
    },
    {
      what: `log proof over HTTP at ${count(most)} entries, p99`,
      value: quantile(most.proofMs, 0.99),
      unit: "ms",
      bar: BAR_PROOF_MS,
      note: all(
        ({ proofMs, firstProofMs }) =>
          `p50 ${ms(proofMs, 0.5)}, p99 ${ms(proofMs, 0.99)}; of the first ${firstProofMs.length} behind the start ${ms(firstProofMs, 0.99)}`,
      ),
    },
    {
      what: `start after kill -9 amid writing at ${count(most)} entries`,
      value: most.startS,
      unit: "s",
      bar: BAR_START_S,
      note: `${all(({ startS }) => formatQuantity(startS, "s"))}${most.size < BAR_START_SIZE ? "; the bar is for 10,000,000" : ""}`,
    },
    {
      what: `memory of the ledger ${growth}`,
      value: most.memoryMb,
      unit: "MB",
      note: all(({ memoryMb }) => formatQuantity(memoryMb, "MB")),
    },
  ];
}

/** What is read of each stage, behind its size. */
export function notedOf(stages: readonly Stage[], read: (stage: Stage) => string): string {
  return stages.map((at) => `${count(at)}: ${read(at)}`).join(", ");
}

async function grow(
  { folder, isQuick, say }: BarsContext,
  size: number,
  onSize: (size: number) => void,
): Promise<Stage> {
  const dataDir = join(folder, "ledger");
  // No more than the log has: what is left to fill up to the next size would be nothing.
  const sample = Math.min(size, BATCH_ENTRIES * (isQuick ? SAMPLE_BATCHES.quick : SAMPLE_BATCHES.full));
  const filled = await fillLog({ dataDir, size, batchEntries: BATCH_ENTRIES, sample, onSize });
  const started = performance.now();
  const server = await startServer("ledger-process.js", [dataDir, "0", "raw"]);
  const startS = (performance.now() - started) / 1000;
  try {
    await untilSize(server, "logged_size", size);
    const [first, more] = isQuick ? [FIRST_PROOFS.quick, PROOFS.quick] : [FIRST_PROOFS.full, PROOFS.full];
    const firstProofMs = await timeProofs(server, size, { from: 0, count: first });
    const proofMs = await timeProofs(server, size, { from: first, count: more });
    const memoryMb = await peakMemoryOf(server.pid);
    say(`  ${size} entries: filled in ${filled.seconds.toFixed(1)} s, started in ${startS.toFixed(2)} s`);
    const [perSecond, entryUs] = ratesOf(filled);
    const [perSecondHere, entryUsHere] = ratesOf(filled.sample);
    return { size, perSecond, entryUs, perSecondHere, entryUsHere, startS, proofMs, firstProofMs, memoryMb };
  } finally {
    await server.stop();
  }
}

function ratesOf({ entries, seconds, processorSeconds }: Spent): readonly [perSecond: number, entryUs: number] {
  return [entries / seconds, (processorSeconds * 1e6) / entries];
}

/** Milliseconds of log proofs of entries all over the log, one after the other, sorted. */
async function timeProofs(
  { port }: Server,
  size: number,
  { from, count: proofs }: { readonly from: number; readonly count: number },
): Promise<readonly number[]> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const times: number[] = [];
  try {
    for (let i = from; i < from + proofs; i += 1) {
      // A stride that shares no factor with powers of two: neighbours would be answered from the same tiles.
      const index = (i * 7919) % size;
      const started = performance.now();
      await readProof(agent, port, index);
      times.push(performance.now() - started);
    }
  } finally {
    agent.destroy();
  }
  return times.toSorted((a, b) => a - b);
}

function readProof(agent: Agent, port: number, index: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const path = `/log-proof/${index}?state=logged&wait_ms=0`;
    get({ agent, port, host: "127.0.0.1", path }, (response) => {
      response.resume();
      response.on("end", () => {
        if (response.statusCode === 200) resolve();
        else reject(new Error(`${path}: status ${response.statusCode}`));
      });
    }).on("error", reject);
  });
}

/** A size as it is printed. */
export function count({ size }: Pick<Stage, "size">): string {
  return size.toLocaleString("en-US");
}

function ms(sorted: readonly number[], share: number): string {
  return formatQuantity(quantile(sorted, share), "ms");
}
