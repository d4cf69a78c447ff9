/** What a log on a test's disk promised, and whether the disk keeps it. */

import { equalBytes } from "../../kernel/bytes.ts";
import { hashLeaf } from "../../kernel/merkle/hash.ts";
import { checkInclusion } from "../../kernel/merkle/inclusion-proof.ts";
import { proveInclusion, readRoot } from "../../kernel/merkle/prove.ts";
import type { SignedCheckpoint } from "../../ledger/checkpoint/checkpointer.ts";
import { type OpenTestLog, rawProposal } from "./ledger-log.ts";

/** Entries that were acknowledged, with their index, and checkpoints that were signed. */
export interface Promised {
  readonly acknowledged: Map<string, bigint>;
  readonly signed: SignedCheckpoint[];
}

export function noPromises(): Promised {
  return { acknowledged: new Map(), signed: [] };
}

/** Batches of a run, and entries in each. */
export interface RunShape {
  readonly from: number;
  readonly batches: number;
  readonly entries: number;
}

/** Appends, signs after every second batch, retires; stops at the first fault. */
export async function runLog(
  log: OpenTestLog,
  promised: Promised,
  { from, batches, entries }: RunShape,
): Promise<void> {
  for (let b = from; b < from + batches && log.halt.fault === undefined; b += 1) {
    const texts = Array.from({ length: entries }, (_, i) => `entry ${b}/${i} ${"x".repeat(i)}`);
    const indexes = await log.sequencer.submit(rawProposal(texts)).catch(() => undefined);
    for (const [i, text] of texts.entries()) {
      if (indexes !== undefined) promised.acknowledged.set(text, indexes[i] ?? -1n);
    }
    if (b % 2 === 1) await log.checkpointer.tick();
    const { logged } = log.checkpointer;
    if (logged !== undefined && logged !== promised.signed.at(-1)) promised.signed.push(logged);
    await log.retire();
  }
}

/** @throws Error naming the promise that the log does not keep */
export async function checkPromised(log: OpenTestLog, { acknowledged, signed }: Promised): Promise<void> {
  const { size } = log.tree;
  const root = log.tree.root();
  for (const [text, index] of acknowledged) {
    const entry = Buffer.from(await log.tree.readEntry(index)).toString();
    if (entry !== text) throw new Error(`${text} was acknowledged at ${index}, which holds ${entry}`);
  }
  for (const head of signed) {
    if (head.size > size) throw new Error(`size ${head.size} was signed, the disk derives ${size}`);
    const derived = await readRoot(head.size, log.tree.reader(head.size));
    if (!equalBytes(derived, head.root)) throw new Error(`another root was signed for size ${head.size}`);
  }
  for (let index = 0n; index < size; index += 61n) {
    const leaf = hashLeaf(await log.tree.readEntry(index));
    checkInclusion({ leaf, index, size, root, proof: await proveInclusion(index, size, log.tree.reader(size)) });
  }
}
