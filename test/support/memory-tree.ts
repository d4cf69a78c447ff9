/** A tree that is kept whole in memory, for tests that prove things about it. */

import { formatHex } from "../../kernel/hex.ts";
import { CompactRange } from "../../kernel/merkle/compact-range.ts";
import { hashLeaf, type LeafHash, type NodeHash, type RootHash } from "../../kernel/merkle/hash.ts";
import type { NodeId } from "../../kernel/merkle/node-id.ts";
import type { HashReader } from "../../kernel/merkle/prove.ts";

/** All complete subtrees of a list of leaves, and what each of its prefixes has as root. */
export interface MemoryTree {
  readonly leaves: readonly LeafHash[];
  /** Roots of sizes 0 to the number of leaves. */
  readonly roots: readonly RootHash[];
  readonly reader: HashReader;
}

/** Builds the tree of the given leaf hashes; `keepRoots: false` keeps no roots (for long lists). */
export function makeMemoryTree(
  leaves: readonly LeafHash[],
  options: { readonly keepRoots?: boolean } = {},
): MemoryTree {
  const nodes = new Map<string, NodeHash>();
  const range = CompactRange.empty((id, hash) => nodes.set(nameOf(id), hash));
  const roots = [range.root()];
  for (const leaf of leaves) {
    range.append(leaf);
    if (options.keepRoots !== false) roots.push(range.root());
  }
  const readNodes = async (ids: readonly NodeId[]): Promise<readonly NodeHash[]> => ids.map((id) => nodeOf(nodes, id));
  return { leaves, roots, reader: { readNodes } };
}

/** A tree that is kept whole in memory while it grows: a leaf costs a hash or two, whatever is there already. */
export class GrowingTree {
  readonly #nodes = new Map<string, NodeHash>();
  readonly #range: CompactRange = CompactRange.empty((id, hash) => this.#nodes.set(nameOf(id), hash));
  /** Index of the first leaf with a hash (hex). */
  readonly #indexes = new Map<string, bigint>();

  /** Reads any complete subtree. */
  readonly reader: HashReader = { readNodes: async (ids) => ids.map((id) => nodeOf(this.#nodes, id)) };

  get size(): bigint {
    return this.#range.size;
  }

  append(leaf: LeafHash): void {
    const name = formatHex(leaf);
    if (!this.#indexes.has(name)) this.#indexes.set(name, this.#range.size);
    this.#range.append(leaf);
  }

  root(): RootHash {
    return this.#range.root();
  }

  /** @param leaf  hexadecimal */
  indexOf(leaf: string): bigint | undefined {
    return this.#indexes.get(leaf);
  }
}

/** Leaf hashes of the entries `<prefix> 0`, `<prefix> 1`, ... */
export function numberedLeaves(prefix: string, size: number): readonly LeafHash[] {
  const encoder = new TextEncoder();
  return Array.from({ length: size }, (_, i) => hashLeaf(encoder.encode(`${prefix} ${i}`)));
}

function nodeOf(nodes: ReadonlyMap<string, NodeHash>, id: NodeId): NodeHash {
  const hash = nodes.get(nameOf(id));
  if (hash === undefined) throw new Error(`node ${nameOf(id)} is not complete`);
  return hash;
}

const nameOf = ({ level, index }: NodeId): string => `${level}/${index}`;
