/** Fills a raw log through the ledger's own code, as fast as it takes entries, and goes on until it is killed. */

import { formatUtf8 } from "../../kernel/bytes.ts";
import { hashLeaf } from "../../kernel/merkle/hash.ts";
import { openLedger } from "../../ledger/ledger.ts";
import type { Proposal } from "../../ledger/sequence/sequencer.ts";
import { ledgerOptions } from "../support/ledger-service.ts";
import { logger, report, startOptions } from "./child-side.ts";

/** What the process is started with. */
export interface BuilderStart {
  readonly dataDir: string;
  readonly entries: number;
  readonly entryBytes: number;
}

const BATCH = 4096;
const IN_FLIGHT = 3;

process.once("disconnect", () => process.exit(1));
const { dataDir, entries, entryBytes } = startOptions<BuilderStart>();
const config = { checkpoint_ms: 200, witness_ms: 1000 } as const;
const ledger = await openLedger(ledgerOptions(dataDir, logger, { config, signing: "worker" }));
let next = Number(ledger.log.tree.size);
let reportedAt = 0;
const isFull = (): boolean => Number(ledger.log.tree.size) >= entries;
await Promise.all(Array.from({ length: IN_FLIGHT }, fill));

async function fill(): Promise<void> {
  for (;;) {
    const first = next;
    next += BATCH;
    await ledger.log.sequencer.submit(batchOf(first));
    const size = Number(ledger.log.tree.size);
    if (size - reportedAt < 100_000 && !isFull()) continue;
    reportedAt = size;
    await report({ kind: "filled", size });
  }
}

function batchOf(first: number): Proposal<void> {
  const pending = Array.from({ length: BATCH }, (_, i) => {
    const bytes = formatUtf8(`${first + i} `.padEnd(entryBytes, "abcdefgh"));
    return { bytes, leaf: hashLeaf(bytes) };
  });
  return { entries: pending, decide: () => ({ entries: pending, settle: () => undefined }) };
}
