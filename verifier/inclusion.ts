/**
 * Checks many inclusion proofs of one tree. Neighbours share most of their path, so each node is hashed once: a path that
 * meets a node which was proven before is compared with it instead of being hashed again.
 */

import { equalBytes } from "../kernel/bytes.ts";
import { CheckError } from "../kernel/errors.ts";
import { asNodeHash, hashNode, type LeafHash, type NodeHash, type RootHash } from "../kernel/merkle/hash.ts";
import { checkInclusion } from "../kernel/merkle/inclusion-proof.ts";

/**
 * Checks one leaf; the checker was made for the tree.
 *
 * @throws {CheckError} ERR_INDEX_RANGE, ERR_PROOF_LENGTH, ERR_ROOT_MISMATCH
 */
export type InclusionChecker = (leaf: LeafHash, index: number, proof: readonly NodeHash[]) => void;

/** One step from a node to its parent. */
interface Step {
  /** The node's name: its level and its index in it. */
  readonly name: string;
  readonly siblingName: string;
  readonly isLeft: boolean;
}

/**
 * A checker of proofs in the tree of `size` leaves with root `root`.
 *
 * What it accepts and refuses, and with which code, is what `checkInclusion` does.
 */
export function makeInclusionChecker(root: RootHash, size: bigint): InclusionChecker {
  const count = Number(size);
  if (!Number.isSafeInteger(count)) {
    return (leaf, index, proof) => checkInclusion({ leaf, index: BigInt(index), size, proof, root });
  }
  const proven = new Map<string, NodeHash>();
  return (leaf, index, proof) => {
    if (index < 0 || index >= count) {
      throw new CheckError("ERR_INDEX_RANGE", `leaf ${index} is not in a tree of ${size} leaves`);
    }
    const steps = pathOf(index, count);
    if (proof.length !== steps.length) {
      throw new CheckError("ERR_PROOF_LENGTH", `want a proof of ${steps.length} hashes, got ${proof.length}`);
    }
    if (!climb(asNodeHash(leaf), steps, proof, proven, root)) {
      throw new CheckError("ERR_ROOT_MISMATCH", `the proof gives another root of the tree of ${size} leaves`);
    }
  };
}

/** From leaf `index` to the root of `count` leaves; a node without a sibling is its own parent (RFC 6962 §2.1). */
function pathOf(index: number, count: number): readonly Step[] {
  const steps: Step[] = [];
  let [at, last, level] = [index, count - 1, 0];
  while (last > 0) {
    const isLeft = at % 2 === 0;
    if (!isLeft || at < last) {
      steps.push({ name: `${level}/${at}`, siblingName: `${level}/${isLeft ? at + 1 : at - 1}`, isLeft });
    }
    [at, last, level] = [Math.floor(at / 2), Math.floor(last / 2), level + 1];
  }
  return steps;
}

function climb(
  leaf: NodeHash,
  steps: readonly Step[],
  proof: readonly NodeHash[],
  proven: Map<string, NodeHash>,
  root: RootHash,
): boolean {
  const path: NodeHash[] = [];
  let hash = leaf;
  for (const [i, { name, isLeft }] of steps.entries()) {
    const known = proven.get(name);
    // A proven node has proven siblings all the way up: what is left of the proof must be exactly those.
    if (known !== undefined) {
      return (
        equalBytes(known, hash) && hasProvenSiblings(steps, proof, proven, i) && remember(path, steps, proof, proven)
      );
    }
    path.push(hash);
    const sibling = proof[i] ?? hash;
    hash = isLeft ? hashNode(hash, sibling) : hashNode(sibling, hash);
  }
  return equalBytes(hash, root) && remember(path, steps, proof, proven);
}

function hasProvenSiblings(
  steps: readonly Step[],
  proof: readonly NodeHash[],
  proven: ReadonlyMap<string, NodeHash>,
  from: number,
): boolean {
  for (let i = from; i < steps.length; i += 1) {
    const [known, given] = [proven.get(steps[i]?.siblingName ?? ""), proof[i]];
    if (known === undefined || given === undefined || !equalBytes(known, given)) return false;
  }
  return true;
}

/** Keeps the nodes of the path and their siblings. Always true. */
function remember(
  path: readonly NodeHash[],
  steps: readonly Step[],
  proof: readonly NodeHash[],
  proven: Map<string, NodeHash>,
): true {
  for (const [i, node] of path.entries()) {
    const [step, sibling] = [steps[i], proof[i]];
    if (step === undefined || sibling === undefined) continue;
    proven.set(step.name, node);
    proven.set(step.siblingName, sibling);
  }
  return true;
}
