/** The recorded head as one term of an integrator moves it: compare-and-swap, with the term's token. */

import { EMPTY_ROOT } from "../../kernel/merkle/hash.ts";
import { TILE_WIDTH } from "../../kernel/tile/coordinates.ts";
import type { TreeHead, TreeHeadStore } from "../storage/head-store.ts";
import type { Tree } from "../tree/tree.ts";
import { formatEdge } from "./edge-bytes.ts";
import type { HeadTable } from "./head-table.ts";

/** The head of one term. */
export class TermHeads implements TreeHeadStore {
  readonly #table: HeadTable;
  readonly #token: bigint;
  readonly #tree: Tree;
  #head: TreeHead | undefined;

  /** @param tree  grows only between two advances */
  constructor(table: HeadTable, token: bigint, tree: Tree, head: TreeHead) {
    this.#table = table;
    this.#token = token;
    this.#tree = tree;
    this.#head = head.size === 0n ? undefined : head;
  }

  get head(): TreeHead | undefined {
    return this.#head;
  }

  /**
   * Records `next`, whose full tiles and bundles are stored.
   *
   * @throws {StoreError} ERR_LEASE_LOST, ERR_DATABASE; ERR_HEAD_CONFLICT, fatal
   */
  async advance(next: TreeHead): Promise<void> {
    const edge = await formatEdge(this.#tree, next.size);
    const old = this.#head ?? { size: 0n, root: EMPTY_ROOT };
    await this.#table.advance(this.#token, old, { ...next, edge }, next.size - (next.size % BigInt(TILE_WIDTH)));
    this.#head = next;
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
