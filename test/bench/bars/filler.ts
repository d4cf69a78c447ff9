/**
 * A process of the benchmarks that fills a raw log through the ledger's own code, each batch durable before the next of its
 * lane, and goes on until it is killed: its end is that of a ledger that dies amid writing.
 *
 *     node filler.js <data folder> <entries> <entries of a batch>
 *
 * Prints one line of JSON, a `Filled`, once the log has so many entries.
 */

import { appendRawBatch, parseRawBatch } from "../../../ledger/admission/raw-batch.ts";
import { growHeapInLargeSteps } from "../../../ledger/heap-growth.ts";
import { openLedger } from "../../../ledger/ledger.ts";
import { ledgerOptions } from "../../support/ledger-service.ts";

/** What was filled, from the first batch of this process on. */
export interface Filled {
  readonly entries: number;
  readonly seconds: number;
  /** Processor time of the whole process, in seconds. */
  readonly processorSeconds: number;
}

const ENTRY_BYTES = 300;
const RECORD_BYTES = 2 + ENTRY_BYTES;
const DIGITS = 12;
const LANES = 8;

const [dataDir = "", wanted = "0", batch = "256"] = process.argv.slice(2);
const batchEntries = Number(batch);
const say = (fields: object, message: string): void => console.error(message, fields);
const logger = { info: () => undefined, warn: say, error: say };
const config = { checkpoint_ms: 200, witness_ms: 1000 } as const;
// As `startLedger` does.
growHeapInLargeSteps();
const ledger = await openLedger(ledgerOptions(dataDir, logger, { config, signing: "worker" }));
const { sequencer, tree } = ledger.log;
const first = Number(tree.size);
const [started, usedBefore] = [performance.now(), process.cpuUsage()];
let next = first;
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
    if (!isTold && tree.size >= BigInt(wanted)) tell();
  }
}

function tell(): void {
  isTold = true;
  const used = process.cpuUsage(usedBefore);
  const filled: Filled = {
    entries: Number(tree.size) - first,
    seconds: (performance.now() - started) / 1000,
    processorSeconds: (used.user + used.system) / 1e6,
  };
  console.log(JSON.stringify(filled));
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
