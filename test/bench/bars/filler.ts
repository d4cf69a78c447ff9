/**
 * A process of the benchmarks that fills a raw log through the ledger's own code, each batch durable before the next of its
 * lane, and goes on until it is killed: its end is that of a ledger that dies amid writing.
 *
 *     node filler.js <data folder> <entries> <entries of a batch>
 *
 * Prints one line of JSON, a `Filled`, once the log has so many entries.
 */

import { hashLeaf } from "../../../kernel/merkle/hash.ts";
import { openLedger } from "../../../ledger/ledger.ts";
import type { Proposal } from "../../../ledger/sequence/proposal.ts";
import { ledgerOptions } from "../../support/ledger-service.ts";

/** What was filled, from the first batch of this process on. */
export interface Filled {
  readonly entries: number;
  readonly seconds: number;
  /** Processor time of the whole process, in seconds. */
  readonly processorSeconds: number;
}

const ENTRY_BYTES = 300;
const LANES = 8;

const [dataDir = "", wanted = "0", batchEntries = "256"] = process.argv.slice(2);
const say = (fields: object, message: string): void => console.error(message, fields);
const logger = { info: () => undefined, warn: say, error: say };
const config = { checkpoint_ms: 200, witness_ms: 1000 } as const;
const ledger = await openLedger(ledgerOptions(dataDir, logger, { config, signing: "worker" }));
const { sequencer, tree } = ledger.log;
const first = Number(tree.size);
const [started, usedBefore] = [performance.now(), process.cpuUsage()];
let next = first;
let isTold = false;
await Promise.all(Array.from({ length: LANES }, fill));

async function fill(): Promise<void> {
  for (;;) {
    const from = next;
    next += Number(batchEntries);
    await sequencer.submit(batchOf(from, Number(batchEntries)));
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

/** Entries are views of one buffer, as those of a body that was received. */
function batchOf(from: number, count: number): Proposal<void> {
  const body = Buffer.alloc(count * ENTRY_BYTES, "abcdefgh");
  const pending = Array.from({ length: count }, (_, i) => {
    const at = i * ENTRY_BYTES;
    body.write(`${from + i} `, at, "latin1");
    const bytes = new Uint8Array(body.buffer, body.byteOffset + at, ENTRY_BYTES);
    return { bytes, leaf: hashLeaf(bytes) };
  });
  return { entries: pending, decide: () => ({ entries: pending, settle: () => undefined }) };
}
