/**
 * Checks that receipts are in the log: the newest one by a log proof of the ledger under the pinned policy, the others by
 * inclusion proofs that are made here from public hash tiles, against the root of that same witnessed checkpoint.
 */

import type { Checkpoint } from "../../kernel/checkpoint/checkpoint.ts";
import { CheckError, isCodedError } from "../../kernel/errors.ts";
import { formatHex } from "../../kernel/hex.ts";
import { checkLogProof, parseLogProof } from "../../kernel/log-proof.ts";
import { hashLeaf } from "../../kernel/merkle/hash.ts";
import { checkInclusion } from "../../kernel/merkle/inclusion-proof.ts";
import { type HashReader, proveInclusion } from "../../kernel/merkle/prove.ts";
import { formatTilePath } from "../../kernel/tile/path.ts";
import { makeTileHashReader } from "../../kernel/tile/tile-reader.ts";
import type { WitnessPolicy } from "../../kernel/witness-policy.ts";
import type { LedgerClient } from "./ledger-client.ts";
import type { AdmittedReceipt } from "./outbox.ts";
import type { WrittenReceipt } from "./written-receipt.ts";

const WAIT_MS = 10_000;

/**
 * @returns false if no witnessed tree covers the newest receipt yet
 * @throws {CheckError} a proof does not hold: the ledger's acknowledgement was false
 * @throws {StoreError} ERR_LEDGER_ANSWER
 */
export async function checkInLog(
  client: LedgerClient,
  policy: WitnessPolicy,
  admitted: readonly AdmittedReceipt[],
): Promise<boolean> {
  const newest = admitted.at(-1);
  if (newest === undefined) return true;
  const checkpoint = await checkOne(client, policy, newest.receipt);
  if (checkpoint === undefined) return false;
  // One read of each tile for the whole batch: receipts of one segment share nearly all of them.
  const tiles = new Map<string, Promise<Uint8Array>>();
  const reader = makeTileHashReader(checkpoint.size, (ref) => {
    const path = formatTilePath(ref);
    const tile = tiles.get(path) ?? client.tile(path);
    tiles.set(path, tile);
    return tile;
  });
  for (const { receipt, index } of admitted.slice(0, -1)) {
    const isAtIndex = index !== undefined && (await isIncluded(receipt, index, checkpoint, reader));
    // Another index than the ledger said (a resent segment), or one this process never heard: ask by leaf.
    if (!isAtIndex && (await checkOne(client, policy, receipt)) === undefined) return false;
  }
  return true;
}

/** The checkpoint of a log proof for this receipt, all of it checked; undefined if there is none yet. */
async function checkOne(
  client: LedgerClient,
  policy: WitnessPolicy,
  receipt: WrittenReceipt,
): Promise<Checkpoint | undefined> {
  const text = await client.logProof(formatHex(hashLeaf(receipt.bytes)), WAIT_MS);
  if (text === undefined) return undefined;
  return checkLogProof({ proof: parseLogProof(text), entry: receipt.bytes, policy }).checkpoint;
}

async function isIncluded(
  receipt: WrittenReceipt,
  index: bigint,
  { size, root }: Checkpoint,
  reader: HashReader,
): Promise<boolean> {
  if (index >= size) return false;
  try {
    const proof = await proveInclusion(index, size, reader);
    checkInclusion({ leaf: hashLeaf(receipt.bytes), index, size, root, proof });
    return true;
  } catch (error) {
    if (isCodedError(error) && error instanceof CheckError) return false;
    throw error;
  }
}
