/**
 * Checks that receipts are in the log: the newest one by a log proof of the ledger under the pinned policy, the others by
 * public hash tiles, against the root of that same witnessed checkpoint.
 */

import type { Checkpoint } from "../../kernel/checkpoint/checkpoint.ts";
import { formatHex } from "../../kernel/hex.ts";
import { checkLogProof, parseLogProof } from "../../kernel/log-proof.ts";
import { hashLeaf } from "../../kernel/merkle/hash.ts";
import { formatTilePath } from "../../kernel/tile/path.ts";
import type { WitnessPolicy } from "../../kernel/witness-policy.ts";
import type { LedgerClient } from "./ledger-client.ts";
import type { AdmittedReceipt } from "./outbox.ts";
import { ProvenLeaves } from "./proven-leaves.ts";
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
  const leaves = new ProvenLeaves(checkpoint, (ref) => client.tile(formatTilePath(ref)));
  for (const { receipt, index } of admitted.slice(0, -1)) {
    const isAtIndex = index !== undefined && (await leaves.has(hashLeaf(receipt.bytes), index));
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
