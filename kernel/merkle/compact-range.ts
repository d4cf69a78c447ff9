/**
 * The right edge of a growing tree: the roots of the complete subtrees that make up its leaves, widest first. It is all
 * that appending and the root need: one hash for each one bit of the size.
 */

import { FormatError } from "../errors.ts";
import { asNodeHash, asRootHash, EMPTY_ROOT, hashNode, type LeafHash, type NodeHash, type RootHash } from "./hash.ts";
import { foldRange, type NodeId } from "./node-id.ts";

/** Called once for each complete subtree, leaves included, in the order of completion (leaf first, then upward). */
export type OnNode = (id: NodeId, hash: NodeHash) => void;

/** Mutable: `append` changes it. */
export class CompactRange {
  #size: bigint;
  readonly #nodes: NodeHash[];
  readonly #onNode: OnNode | undefined;

  private constructor(size: bigint, nodes: readonly NodeHash[], onNode: OnNode | undefined) {
    this.#size = size;
    this.#nodes = [...nodes];
    this.#onNode = onNode;
  }

  /** The right edge of the tree without leaves. */
  static empty(onNode?: OnNode): CompactRange {
    return new CompactRange(0n, [], onNode);
  }

  /**
   * The right edge of a tree of `size` leaves.
   *
   * @param nodes  as `nodes()` gave them; their hashes are trusted, their number is not
   * @throws {FormatError} ERR_COMPACT_RANGE unless there is one node for each one bit of `size`
   */
  static fromNodes(size: bigint, nodes: readonly NodeHash[], onNode?: OnNode): CompactRange {
    const want = size < 0n ? -1 : size.toString(2).replaceAll("0", "").length;
    if (nodes.length !== want) {
      throw new FormatError("ERR_COMPACT_RANGE", `want ${want} nodes for size ${size}, got ${nodes.length}`);
    }
    return new CompactRange(size, nodes, onNode);
  }

  /** Number of leaves. */
  get size(): bigint {
    return this.#size;
  }

  /** Adds one leaf at index `size`; in a tree over subtrees of one width, the root of one. */
  append(leaf: LeafHash | NodeHash): void {
    let index = this.#size;
    let hash = asNodeHash(leaf);
    this.#onNode?.({ level: 0, index }, hash);
    for (let level = 1; index % 2n === 1n; level += 1) {
      const left = this.#nodes.pop();
      if (left === undefined) break;
      hash = hashNode(left, hash);
      index >>= 1n;
      this.#onNode?.({ level, index }, hash);
    }
    this.#nodes.push(hash);
    this.#size += 1n;
  }

  /** Roots of the complete subtrees, left to right, widest first. */
  nodes(): readonly NodeHash[] {
    return [...this.#nodes];
  }

  /** Root of the tree of `size` leaves; cost: one hash for each one bit of the size, less one. */
  root(): RootHash {
    return this.#nodes.length === 0 ? EMPTY_ROOT : asRootHash(foldRange(this.#nodes));
  }
}
