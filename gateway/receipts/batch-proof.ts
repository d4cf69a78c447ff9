/**
 * Checks that receipts are in the log: the newest one by a log proof of the ledger under the pinned policy, the others by
 * public hash tiles, against the root of that same witnessed checkpoint. Nothing that is said of where a receipt is, or guessed, is
 * believed: it is looked for there, and asked for by its leaf where it is not.
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
  const last = await checkOne(client, policy, newest.receipt);
  if (last === undefined) return false;
  const leaves = new ProvenLeaves(last.checkpoint, (ref) => client.tile(formatTilePath(ref)));
  let behind: bigint | undefined;
  for (const { receipt, index } of admitted.slice(0, -1)) {
    // What another run sent has no index here: receipts of a segment stand one behind the other.
    const guess = index ?? behind;
    const isThere = guess !== undefined && (await leaves.has(hashLeaf(receipt.bytes), guess));
    // Another index than the ledger said (a resent segment), or none that could be guessed: ask by leaf.
    const at = isThere ? guess : (await checkOne(client, policy, receipt))?.index;
    if (at === undefined) return false;
    behind = at + 1n;
  }
  return true;
}

/** Where a receipt is, and in what. */
interface ProvenPlace {
  readonly index: bigint;
  readonly checkpoint: Checkpoint;
}

/** What a log proof for this receipt says, all of it checked; undefined if there is none yet. */
async function checkOne(
  client: LedgerClient,
  policy: WitnessPolicy,
  receipt: WrittenReceipt,
): Promise<ProvenPlace | undefined> {
  const text = await client.logProof(formatHex(hashLeaf(receipt.bytes)), WAIT_MS);
  if (text === undefined) return undefined;
  const proof = parseLogProof(text);
  const { checkpoint } = checkLogProof({ proof, entry: receipt.bytes, policy });
  return { index: proof.index, checkpoint };
}
