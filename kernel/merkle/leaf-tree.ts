/** A whole small tree in memory, for batches of leaves that get a root and a path each. Never for a log. */

import { invariant } from "../errors.ts";
import { asNodeHash, asRootHash, hashNode, type LeafHash, type NodeHash, type RootHash } from "./hash.ts";

/** The tree over at least one leaf; cost: one hash for each leaf but one, 32 bytes for each node. */
export class LeafTree {
  /** Rows of nodes, leaves first. A node without a sibling moves up unchanged, which is the split of RFC 6962 §2.1. */
  readonly #rows: readonly (readonly NodeHash[])[];

  /** Requires at least one leaf. */
  constructor(leaves: readonly LeafHash[]) {
    invariant(leaves.length > 0, "LeafTree: want at least one leaf");
    const rows: (readonly NodeHash[])[] = [leaves.map(asNodeHash)];
    for (let row = rows[0] ?? []; row.length > 1; rows.push(row)) row = rowAbove(row);
    this.#rows = rows;
  }

  /** Root of the tree. */
  root(): RootHash {
    const [root] = this.#rows.at(-1) ?? [];
    invariant(root !== undefined, "LeafTree: a tree has a root");
    return asRootHash(root);
  }

  /** Sibling hashes of the leaf at `position`, leaf to root: the inclusion proof of RFC 6962 §2.1.1. */
  path(position: number): readonly NodeHash[] {
    const path: NodeHash[] = [];
    let at = position;
    for (const row of this.#rows) {
      const sibling = row[at ^ 1];
      if (sibling !== undefined) path.push(sibling);
      at >>= 1;
    }
    return path;
  }
}

function rowAbove(row: readonly NodeHash[]): readonly NodeHash[] {
  const above: NodeHash[] = [];
  for (let i = 0; i < row.length; i += 2) {
    const [left, right] = [row[i], row[i + 1]];
    if (left !== undefined) above.push(right === undefined ? left : hashNode(left, right));
  }
  return above;
}
