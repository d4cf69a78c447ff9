/** A small signed log in memory: checkpoints of every size with their consistency proofs. */

import { formatCheckpoint } from "../../kernel/checkpoint/checkpoint.ts";
import { makeLogSigner } from "../../kernel/checkpoint/note-signer.ts";
import { CompactRange } from "../../kernel/merkle/compact-range.ts";
import { hashLeaf, type LeafHash, type NodeHash, type RootHash } from "../../kernel/merkle/hash.ts";
import type { NodeId } from "../../kernel/merkle/node-id.ts";
import { proveConsistency, proveInclusion } from "../../kernel/merkle/prove.ts";
import { formatNote } from "../../kernel/note/signed-note.ts";
import type { VerifierKey } from "../../kernel/note/verifier-key.ts";

/** The log and what it can show. */
export interface SmallLog {
  readonly origin: string;
  readonly key: VerifierKey;
  readonly leaf: (index: number) => LeafHash;
  readonly root: (size: number) => RootHash;
  /** A signed checkpoint of the first `size` entries, or of `root` if it is given. */
  readonly checkpoint: (size: number, root?: RootHash) => string;
  readonly consistency: (oldSize: number, size: number) => Promise<readonly NodeHash[]>;
  readonly inclusion: (index: number, size: number) => Promise<readonly NodeHash[]>;
}

/**
 * @param origin  also the name of its key
 * @param seedByte  fills the key's seed
 * @param entry  text of entry i
 */
export function makeSmallLog(
  origin: string,
  seedByte: number,
  size: number,
  entry = (i: number): string => `entry ${i}`,
): SmallLog {
  const signer = makeLogSigner(origin, new Uint8Array(32).fill(seedByte));
  const nodes = new Map<string, NodeHash>();
  const roots: RootHash[] = [];
  const leaves = Array.from({ length: size }, (_, i) => hashLeaf(new TextEncoder().encode(entry(i))));
  const range = CompactRange.empty((id: NodeId, hash: NodeHash) => nodes.set(`${id.level}/${id.index}`, hash));
  roots.push(range.root());
  for (const leaf of leaves) {
    range.append(leaf);
    roots.push(range.root());
  }
  const at = <T>(list: readonly T[], index: number): T => {
    const found = list[index];
    if (found === undefined) throw new Error(`the small log has no ${index}`);
    return found;
  };
  const reader = {
    readNodes: (ids: readonly NodeId[]): Promise<readonly NodeHash[]> =>
      Promise.resolve(ids.map((id) => nodes.get(`${id.level}/${id.index}`) ?? at([], 0))),
  };
  return {
    origin,
    key: signer.key,
    leaf: (index) => at(leaves, index),
    root: (n) => at(roots, n),
    checkpoint: (n, root = at(roots, n)) => {
      const text = formatCheckpoint({ origin, size: BigInt(n), root, extensions: [] });
      return formatNote(text, [signer.signLine(text)]);
    },
    consistency: (oldSize, n) => proveConsistency(BigInt(oldSize), BigInt(n), reader),
    inclusion: (index, n) => proveInclusion(BigInt(index), BigInt(n), reader),
  };
}
