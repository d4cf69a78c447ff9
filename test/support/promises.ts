/** A log with promises, in memory: everything signed by the log and the witnesses of log-keys.ts. */

import { makeLogSigner } from "../../kernel/checkpoint/note-signer.ts";
import { hashLeaf, type LeafHash, type RootHash } from "../../kernel/merkle/hash.ts";
import { LeafTree } from "../../kernel/merkle/leaf-tree.ts";
import { proveInclusion } from "../../kernel/merkle/prove.ts";
import { formatNote } from "../../kernel/note/signed-note.ts";
import { type LeafPromise, leafPromiseOf, signPromise } from "../../kernel/promise.ts";
import type { PromiseEvidence } from "../../kernel/promise-breach.ts";
import { createSigner, type EnvelopeSigner } from "../../kernel/signature/signer.ts";
import { formatTimestamp, type Timestamp } from "../../kernel/time.ts";
import { checkpointText, ORIGIN, seedOf, TIME, witnesses } from "./log-keys.ts";
import { type MemoryTree, makeMemoryTree } from "./memory-tree.ts";

/** A minute after the time of every cosignature of log-keys.ts. */
export const DEADLINE: Timestamp = formatTimestamp(Number(TIME) * 1000 + 60_000);

/** The log's Ed25519 checkpoint key, as a signer of envelopes. */
export const promiseSigner: EnvelopeSigner = createSigner("ed25519", seedOf(1));

/** Leaves of the entries `<prefix> 0` to `<prefix> count-1`. */
export function leavesOf(count: number, prefix = "entry"): readonly LeafHash[] {
  return Array.from({ length: count }, (_, i) => hashLeaf(new TextEncoder().encode(`${prefix} ${i}`)));
}

/** The log's promise of the leaf at `index`: its batch is the leaves from `first` up to and without `end`. */
export function promiseOf(
  leaves: readonly LeafHash[],
  [first, end]: readonly [number, number],
  index: number,
  signer: EnvelopeSigner = promiseSigner,
): LeafPromise {
  const tree = new LeafTree(leaves.slice(first, end));
  const parts = { origin: ORIGIN, firstIndex: BigInt(first), count: end - first, root: tree.root() };
  return leafPromiseOf(signPromise({ ...parts, deadline: DEADLINE }, signer), tree, index - first);
}

/** A checkpoint of the log with the cosignatures of so many witnesses, so many seconds from the deadline each. */
export function cosignedNote(size: number, root: RootHash, secondsFromDeadline: readonly number[]): string {
  const text = checkpointText(BigInt(size), root);
  const lines = secondsFromDeadline.flatMap((seconds, i) => {
    const line = witnesses[i]?.cosign(text, TIME + 60n + BigInt(seconds));
    return line === undefined ? [] : [line];
  });
  return formatNote(text, [makeLogSigner(ORIGIN, seedOf(1)).signLine(text), ...lines]);
}

/** A log proof of `leaves[index]` in the tree of all of `leaves`. */
export async function proofEvidence(
  leaves: readonly LeafHash[],
  index: number,
  secondsFromDeadline: readonly number[],
): Promise<Extract<PromiseEvidence, { type: "proof" }>> {
  const tree: MemoryTree = makeMemoryTree(leaves);
  const [root, leaf] = [tree.roots[leaves.length], leaves[index]];
  if (root === undefined || leaf === undefined) throw new Error("no such leaf");
  const proof = await proveInclusion(BigInt(index), BigInt(leaves.length), tree.reader);
  const checkpoint = cosignedNote(leaves.length, root, secondsFromDeadline);
  return { type: "proof", proof: { index: BigInt(index), proof, checkpoint }, leaf };
}
