/** A witness over files in memory, as `start.ts` builds it around HTTP. */

import { formatAddCheckpoint } from "../../kernel/add-checkpoint.ts";
import { formatUtf8 } from "../../kernel/bytes.ts";
import { type Cosigner, makeCosigner } from "../../kernel/checkpoint/note-signer.ts";
import type { WitnessAnswer } from "../../witness/answer.ts";
import { EvidenceShelf } from "../../witness/evidence.ts";
import { openFence } from "../../witness/fence.ts";
import type { AnyCosigner } from "../../witness/signing.ts";
import { StateBook } from "../../witness/state-book.ts";
import { createWitness, type Witness, type WitnessedLog } from "../../witness/witness.ts";
import type { MemoryFence, MemoryStateFiles } from "./memory-state-files.ts";
import type { SmallLog } from "./small-log.ts";

/** One cosigner of each type. */
export const COSIGNERS: readonly Cosigner[] = [
  makeCosigner("witness.example/w", 0x04, new Uint8Array(32).fill(9)),
  makeCosigner("witness.example/pq", 0x06, new Uint8Array(32).fill(8)),
];

/** A witness and short ways to ask it. */
export interface MemoryWitness extends Witness {
  readonly book: StateBook;
  readonly evidence: EvidenceShelf;
  readonly add: (body: string) => Promise<WitnessAnswer>;
  /** Sends a checkpoint of `size` with the proof from `oldSize`; `note` in place of the log's own. */
  readonly grow: (log: SmallLog, oldSize: number, size: number, note?: string) => Promise<WitnessAnswer>;
}

/** Opens the state in `files` and makes a witness of it. */
export async function openMemoryWitness(
  files: MemoryStateFiles,
  logs: readonly WitnessedLog[],
  options: { readonly fence?: MemoryFence; readonly cosigners?: readonly AnyCosigner[] } = {},
): Promise<MemoryWitness> {
  const fence = options.fence === undefined ? undefined : await openFence(options.fence);
  const [book, evidence] = [await StateBook.open(files, fence), await EvidenceShelf.open(files)];
  const cosigners: readonly AnyCosigner[] = options.cosigners ?? COSIGNERS;
  const witness = createWitness({ book, evidence, logs, cosigners, nowSeconds: () => 1_800_000_000n });
  const add = (body: string): Promise<WitnessAnswer> => witness.addCheckpoint(formatUtf8(body));
  return {
    ...witness,
    book,
    evidence,
    add,
    grow: async (log, oldSize, size, note = log.checkpoint(size)) => {
      const proof = oldSize === 0 || oldSize > size ? [] : await log.consistency(oldSize, size);
      return add(formatAddCheckpoint(BigInt(oldSize), proof, note));
    },
  };
}

/** The log as a witness's list names it. */
export function listed({ origin, key }: SmallLog): WitnessedLog {
  return { origin, keys: [key] };
}
