/**
 * The vault: one random 32-byte secret a receipt, durable before the receipt that commits under it. Secrets are made ahead
 * in blocks, so that no call waits for a sync here. Erasing a secret (its bytes overwritten by zeros, synced) ends what it
 * opens, here and in every copy of what was encrypted under it.
 *
 * Files `vault/<block number>`, each of 4096 slots of 32 bytes; the secret of receipt `seq` is slot `seq % 4096` of block
 * `seq / 4096`. A secret is never derived from another.
 */

import { mkdir, open } from "node:fs/promises";
import { join } from "node:path";
import { StoreError } from "../../kernel/errors.ts";
import { readIfThere } from "./read-if-there.ts";
import { writeDurably } from "./write-durably.ts";

/** Secrets of one stream. */
export interface Vault {
  /**
   * Makes the secrets of the next receipts durable; call before a receipt with this number is made.
   *
   * @returns undefined if the secret is there
   */
  readonly prepare: (seq: number) => Promise<void> | undefined;
  /** The secret of receipt `seq`, which `prepare` has covered. */
  readonly secret: (seq: number) => Uint8Array;
  /** Forgets secrets of receipts that are written, before `eraseSecrets` takes them from the disk. */
  readonly forget: (seqs: readonly number[]) => void;
}

const SLOT_BYTES = 32;
const BLOCK_SLOTS = 4096;

/**
 * @param folder  made if there is none
 * @param randomBytes  the operating system's generator
 */
export function openVault(folder: string, randomBytes: (length: number) => Uint8Array): Vault {
  const blocks = new Map<number, Uint8Array>();
  const preparing = new Map<number, Promise<void>>();
  const load = (block: number): Promise<void> => {
    const known = preparing.get(block);
    if (known !== undefined) return known;
    const loading = readOrMakeBlock(folder, block, randomBytes).then((content) => {
      blocks.set(block, content);
      // Two blocks are enough: the present one and the next.
      for (const old of [...blocks.keys()]) if (old < block - 1) blocks.delete(old);
    });
    preparing.set(block, loading);
    return loading;
  };
  return {
    prepare: (seq) => {
      const block = Math.floor(seq / BLOCK_SLOTS);
      if (!blocks.has(block)) return load(block);
      // Ahead of need, so that no receipt waits for it; a failure comes back when the block is reached.
      const isHalfUsed = seq % BLOCK_SLOTS >= BLOCK_SLOTS / 2;
      if (isHalfUsed && !preparing.has(block + 1)) load(block + 1).catch(() => undefined);
      return undefined;
    },
    secret: (seq) => {
      const content = blocks.get(Math.floor(seq / BLOCK_SLOTS));
      if (content === undefined) throw new StoreError("ERR_STREAM_FAILED", "the vault has no secret for this receipt");
      const slot = seq % BLOCK_SLOTS;
      const secret = content.slice(slot * SLOT_BYTES, (slot + 1) * SLOT_BYTES);
      // Zeros are an erased secret, or a damaged file; a commitment under them could be guessed.
      if (secret.every((byte) => byte === 0)) {
        throw new StoreError("ERR_STREAM_FAILED", "the vault's secret for this receipt is erased", { fatal: true });
      }
      return secret;
    },
    forget: (seqs) => {
      for (const seq of seqs) {
        const { block, at } = slotOf(seq);
        blocks.get(block)?.fill(0, at, at + SLOT_BYTES);
      }
    },
  };
}

/**
 * The secret of a written receipt of any stream.
 *
 * @param folder  the vault of the stream
 * @returns undefined if it is erased, or was never there
 * @throws {StoreError} ERR_STREAM_FILE
 */
export async function readSecret(folder: string, seq: number): Promise<Uint8Array | undefined> {
  const { block, at } = slotOf(seq);
  const content = await readWhole(join(folder, nameOf(block)));
  const secret = content?.slice(at, at + SLOT_BYTES);
  return secret?.some((byte) => byte !== 0) === true ? secret : undefined;
}

/** Those of the numbers whose secret is there. @throws {StoreError} ERR_STREAM_FILE */
export async function withSecrets(folder: string, seqs: readonly number[]): Promise<readonly number[]> {
  const left: number[] = [];
  let open: { readonly block: number; readonly content: Uint8Array | undefined } | undefined;
  for (const seq of seqs) {
    const { block, at } = slotOf(seq);
    if (open?.block !== block) open = { block, content: await readWhole(join(folder, nameOf(block))) };
    if (open.content?.subarray(at, at + SLOT_BYTES).some((byte) => byte !== 0) === true) left.push(seq);
  }
  return left;
}

/**
 * Overwrites secrets in place, and syncs each file: a copy beside it would leave the old bytes in free space. What a copying
 * file system, a wearing disk or a backup still has, is not reached from here (docs/operations.md).
 *
 * @param seqs  of receipts that are written
 */
export async function eraseSecrets(folder: string, seqs: readonly number[]): Promise<void> {
  const blocks = new Map<number, number[]>();
  for (const seq of seqs) {
    const { block, at } = slotOf(seq);
    const places = blocks.get(block) ?? [];
    places.push(at);
    blocks.set(block, places);
  }
  for (const [block, places] of blocks) await overwrite(join(folder, nameOf(block)), places);
}

async function overwrite(path: string, places: readonly number[]): Promise<void> {
  if ((await readWhole(path)) === undefined) return;
  const file = await open(path, "r+");
  try {
    for (const at of places) await file.write(new Uint8Array(SLOT_BYTES), 0, SLOT_BYTES, at);
    await file.sync();
  } finally {
    await file.close();
  }
}

function slotOf(seq: number): { readonly block: number; readonly at: number } {
  return { block: Math.floor(seq / BLOCK_SLOTS), at: (seq % BLOCK_SLOTS) * SLOT_BYTES };
}

function nameOf(block: number): string {
  return String(block).padStart(8, "0");
}

async function readOrMakeBlock(
  folder: string,
  block: number,
  randomBytes: (length: number) => Uint8Array,
): Promise<Uint8Array> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const name = nameOf(block);
  const content = await readWhole(join(folder, name));
  if (content !== undefined) return content;
  const fresh = randomBytes(BLOCK_SLOTS * SLOT_BYTES);
  // Under its name only when it is whole on the disk: a crash must not leave a block of zeros in its place.
  await writeDurably(folder, name, fresh);
  return fresh;
}

async function readWhole(path: string): Promise<Uint8Array | undefined> {
  const content = await readIfThere(path);
  if (content === undefined || content.length === BLOCK_SLOTS * SLOT_BYTES) return content && new Uint8Array(content);
  throw new StoreError("ERR_STREAM_FILE", `${path} is damaged; restore it or start a new stream`, { fatal: true });
}
