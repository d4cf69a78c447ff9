/**
 * A process of the benchmarks that fills a raw log through the ledger's own code, each batch durable before the next of its
 * lane, and goes on until it is killed: its end is that of a ledger that dies amid writing.
 *
 *     node filler.js <data folder> <entries> <entries of a batch> <entries of the sample>
 *
 * Prints lines of JSON: `Filling` now and then, and once the log has so many entries and those of the sample, a `Filled`.
 */

import { appendRawBatch, parseRawBatch } from "../../../ledger/admission/raw-batch.ts";
import { growHeapInLargeSteps } from "../../../ledger/heap-growth.ts";
import { openLedger } from "../../../ledger/ledger.ts";
import { ledgerOptions } from "../../support/ledger-service.ts";

/** What some entries took. */
export interface Spent {
  readonly entries: number;
  readonly seconds: number;
  /** Processor time of the whole process, in seconds. */
  readonly processorSeconds: number;
}

/** What was filled, from the first batch of this process on, and the sample behind it: entries at the size that was wanted. */
export interface Filled extends Spent {
  readonly sample: Spent;
}

/** How far it is. */
export interface Filling {
  readonly size: number;
}

const ENTRY_BYTES = 300;
const RECORD_BYTES = 2 + ENTRY_BYTES;
const DIGITS = 12;
const LANES = 8;
const TELL_EACH = 50_000;

const [dataDir = "", wanted = "0", batch = "256", sample = "0"] = process.argv.slice(2);
const [batchEntries, wantedSize] = [Number(batch), Number(wanted)];
const say = (fields: object, message: string): void => console.error(message, fields);
const logger = { info: () => undefined, warn: say, error: say };
const config = { checkpoint_ms: 200, witness_ms: 1000 } as const;
// As `startLedger` does.
growHeapInLargeSteps();
const ledger = await openLedger(ledgerOptions(dataDir, logger, { config, signing: "worker" }));
const { sequencer, tree } = ledger.log;
const first = Number(tree.size);
const begin = mark(first);
let next = first;
let toldAt = first;
let filled: Spent | undefined;
let full: Mark | undefined;
let isTold = false;
await Promise.all(Array.from({ length: LANES }, fill));

/** Each lane sends one body again and again, with other numbers in it: what is measured is the ledger, not who made its entries. */
async function fill(): Promise<void> {
  const body = Buffer.alloc(batchEntries * RECORD_BYTES, "abcdefgh");
  for (let i = 0; i < batchEntries; i += 1) body.writeUInt16BE(ENTRY_BYTES, i * RECORD_BYTES);
  for (;;) {
    number(body, next);
    next += batchEntries;
    await appendRawBatch(sequencer, parseRawBatch(body));
    if (!isTold) tell(Number(tree.size));
  }
}

/** A moment. */
interface Mark {
  readonly size: number;
  readonly ms: number;
  readonly used: NodeJS.CpuUsage;
}

function mark(size: number): Mark {
  return { size, ms: performance.now(), used: process.cpuUsage() };
}

function since({ size: before, ms, used }: Mark, size: number): Spent {
  const { user, system } = process.cpuUsage(used);
  return {
    entries: size - before,
    seconds: (performance.now() - ms) / 1000,
    processorSeconds: (user + system) / 1e6,
  };
}

function tell(size: number): void {
  if (size - toldAt >= TELL_EACH) {
    toldAt = size;
    console.log(JSON.stringify({ size } satisfies Filling));
  }
  if (size < wantedSize) return;
  filled ??= since(begin, size);
  full ??= mark(size);
  if (size < full.size + Number(sample)) return;
  isTold = true;
  console.log(JSON.stringify({ ...filled, sample: since(full, size) } satisfies Filled));
}

/** Writes the numbers of the entries from `from` on, in decimal, at the begin of each. */
function number(body: Uint8Array, from: number): void {
  for (let i = 0; i < batchEntries; i += 1) {
    let rest = from + i;
    for (let at = i * RECORD_BYTES + 1 + DIGITS; at > i * RECORD_BYTES + 1; at -= 1) {
      body[at] = 0x30 + (rest % 10);
      rest = Math.floor(rest / 10);
    }
  }
}
