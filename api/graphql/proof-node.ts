/** Proofs, made from the node's own hashes: the ledger is not asked. */

import { CheckError } from "../../kernel/errors.ts";
import { formatHex } from "../../kernel/hex.ts";
import { formatLogProof } from "../../kernel/log-proof.ts";
import { proveConsistency, proveInclusion, readRoot } from "../../kernel/merkle/prove.ts";
import type { FollowedLedger } from "../follow/open-ledger.ts";
import type { HeadFact } from "../index/row-shapes.ts";
import { storedHashes } from "../index/stored-tree.ts";
import { countArgument } from "./nodes.ts";

/** Proof that an entry is in a tree. @throws {CheckError} ERR_NOT_PUBLISHED, ERR_SIZE_RANGE, ERR_INDEX_RANGE */
export async function inclusionProof(ledger: FollowedLedger, index: unknown, size: unknown): Promise<object> {
  const head = verifiedHead(ledger);
  const [at, leaves] = [countArgument("index", index), sizeArgument("size", size, head)];
  const reader = storedHashes(ledger.rows, BigInt(leaves));
  const proof = await proveInclusion(BigInt(at), BigInt(leaves), reader);
  const [leaf] = await reader.readNodes([{ level: 0, index: BigInt(at) }]);
  return {
    ledger: ledger.name,
    index: at,
    size: leaves,
    leafHash: leaf === undefined ? "" : formatHex(leaf),
    hashes: proof.map(formatHex),
    root: formatHex(await readRoot(BigInt(leaves), reader)),
    witnessed: leaves === head.size,
  };
}

/** Proof that one tree is the beginning of another. @throws {CheckError} ERR_NOT_PUBLISHED, ERR_SIZE_RANGE */
export async function consistencyProof(ledger: FollowedLedger, from: unknown, to: unknown): Promise<object> {
  const head = verifiedHead(ledger);
  const [old, size] = [countArgument("from", from), sizeArgument("to", to, head)];
  const reader = storedHashes(ledger.rows, BigInt(size));
  const hashes = await proveConsistency(BigInt(old), BigInt(size), reader);
  return {
    ledger: ledger.name,
    from: old,
    fromRoot: formatHex(await readRoot(BigInt(old), reader)),
    to: size,
    toRoot: formatHex(await readRoot(BigInt(size), reader)),
    hashes: hashes.map(formatHex),
  };
}

/** The log proof of an entry. @throws {CheckError} ERR_NOT_PUBLISHED, ERR_INDEX_RANGE */
export async function logProof(ledger: FollowedLedger, index: unknown): Promise<object> {
  const { size, note } = verifiedHead(ledger);
  const at = BigInt(countArgument("index", index));
  const proof = await proveInclusion(at, BigInt(size), storedHashes(ledger.rows, BigInt(size)));
  const text = formatLogProof({ index: at, proof, checkpoint: note });
  return { ledger: ledger.name, index: Number(at), size, text };
}

/** The newest witnessed head whose root was recomputed. @throws {CheckError} ERR_NOT_PUBLISHED */
function verifiedHead({ book }: FollowedLedger): HeadFact {
  const { verified } = book.head;
  if (verified === null) throw new CheckError("ERR_NOT_PUBLISHED", "no checkpoint of this ledger is verified yet");
  return verified;
}

/** Beyond the verified head there is nothing to prove. */
function sizeArgument(name: string, value: unknown, head: HeadFact): number {
  if (value === undefined || value === null) return head.size;
  const size = countArgument(name, value);
  if (size >= 1 && size <= head.size) return size;
  throw new CheckError("ERR_SIZE_RANGE", `${name}: want a size from 1 to ${head.size}`);
}
