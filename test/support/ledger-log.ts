/** Opens logs on a memory disk and signs their checkpoints, as `start.ts` does around HTTP. */

import { formatUtf8 } from "../../kernel/bytes.ts";
import { makeLogSigner } from "../../kernel/checkpoint/note-signer.ts";
import { hashLeaf } from "../../kernel/merkle/hash.ts";
import { Checkpointer } from "../../ledger/checkpoint/checkpointer.ts";
import type { CheckpointSigner } from "../../ledger/checkpoint/signing.ts";
import { Halt } from "../../ledger/halt.ts";
import type { LeafStore } from "../../ledger/leaves/leaf-store.ts";
import { type Log, openLog } from "../../ledger/log.ts";
import type { EntryReplay } from "../../ledger/recovery/catch-up-index.ts";
import type { IndexStore } from "../../ledger/sequence/index-store.ts";
import type { Proposal } from "../../ledger/sequence/proposal.ts";
import type { Disk } from "../../ledger/storage/disk.ts";
import type { WalOptions } from "../../ledger/storage/wal.ts";
import { MemoryIndex, MemoryLeaves } from "./ledger-memory.ts";

export const ORIGIN: string = "log.example/test";

const LIMITS = { maxQueuedEntries: 65_536, maxQueuedBytes: 1 << 26, maxBatchEntries: 4096, maxBatchBytes: 1 << 23 };
const NO_REPLAY: EntryReplay = { load: () => Promise.resolve(), replay: () => [] };

/** A log and the checkpointer that signs it. */
export interface OpenTestLog extends Log {
  readonly checkpointer: Checkpointer;
  readonly halt: Halt;
}

/** ML-DSA signing takes milliseconds; here the second line is left out. */
export function quickSigner(): CheckpointSigner {
  const { key, signLine } = makeLogSigner(ORIGIN, new Uint8Array(32).fill(1));
  return { keys: [key], sign: (text) => Promise.resolve([signLine(text)]), close: () => Promise.resolve() };
}

export async function openTestLog(
  disk: Disk,
  options: Partial<WalOptions> & {
    readonly store?: IndexStore;
    readonly leaves?: LeafStore;
    readonly replay?: EntryReplay;
  } = {},
): Promise<OpenTestLog> {
  const { store = new MemoryIndex(), leaves = new MemoryLeaves(), replay = NO_REPLAY, ...wal } = options;
  const halt = new Halt();
  const signer = quickSigner();
  const clock = { nowMs: () => 1_700_000_000_000 };
  const log = await openLog({
    disk,
    store,
    leaves,
    replay,
    logKeys: () => signer.keys,
    wal: { fileBytes: 4096, ...wal },
    limits: LIMITS,
    clock,
    halt,
  });
  const checkpointer = new Checkpointer({
    origin: ORIGIN,
    tree: log.tree,
    flushTiles: log.flushTiles,
    heads: log.heads,
    signer,
    clock,
    onFatal: (error) => halt.trip(error),
  });
  await checkpointer.resume();
  return { ...log, checkpointer, halt };
}

/** Proposes raw entries; known ones get their first index. */
export function rawProposal(texts: readonly string[]): Proposal<readonly bigint[]> {
  const entries = texts.map((text) => ({ bytes: formatUtf8(text), leaf: hashLeaf(formatUtf8(text)) }));
  return {
    entries,
    decide: (known, next) => {
      const fresh = entries.filter(({ leaf }) => known(leaf) === undefined);
      const answer = entries.map((entry) => known(entry.leaf) ?? next + BigInt(fresh.indexOf(entry)));
      return { entries: fresh, settle: () => answer };
    },
  };
}
