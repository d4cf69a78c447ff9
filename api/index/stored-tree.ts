/** The node's own copy of a log's hashes: it grows leaf by leaf, and proofs are made from it without the ledger. */

import { concat } from "../../kernel/bytes.ts";
import { StoreError } from "../../kernel/errors.ts";
import { formatHex, parseHex } from "../../kernel/hex.ts";
import { CompactRange } from "../../kernel/merkle/compact-range.ts";
import { HASH_BYTES, type LeafHash, type NodeHash, parseNodeHash, type RootHash } from "../../kernel/merkle/hash.ts";
import type { NodeId } from "../../kernel/merkle/node-id.ts";
import type { HashReader } from "../../kernel/merkle/prove.ts";
import { TILE_WIDTH } from "../../kernel/tile/path.ts";
import { makeTileHashReader } from "../../kernel/tile/tile-reader.ts";
import { tileKey } from "./keys.ts";
import type { Draft, RowReader } from "./rows.ts";

const TILE_HEIGHT = 8;

/** Hashes of the tree of `size` leaves, from what is stored. @throws {StoreError} ERR_TILE_MISSING (from `readNodes`) */
export function storedHashes(rows: RowReader, size: bigint): HashReader {
  return makeTileHashReader(size, async (ref) => {
    const key = ref.kind === "hash" ? tileKey(ref.level, ref.index) : "";
    const [tile] = await rows.getMany([key]);
    const want = ref.width * HASH_BYTES;
    if (tile === undefined || tile.length < want) {
      throw new StoreError("ERR_TILE_MISSING", "a hash tile of the index is missing");
    }
    return tile.slice(0, want);
  });
}

/** Appends leaves to the stored tree; `flush` puts the tiles into the draft. */
export class TreeGrowth {
  readonly #range: CompactRange;
  readonly #added = new Map<string, NodeHash[]>();

  /** @param edge  right edge of the stored tree of `size` leaves, in hexadecimal */
  constructor(size: number, edge: readonly string[]) {
    const nodes = edge.map((hash) => parseNodeHash(parseHex(hash, HASH_BYTES)));
    this.#range = CompactRange.fromNodes(BigInt(size), nodes, (id, hash) => this.#keep(id, hash));
  }

  append(leaf: LeafHash): void {
    this.#range.append(leaf);
  }

  root(): RootHash {
    return this.#range.root();
  }

  /** Right edge in hexadecimal. */
  edge(): readonly string[] {
    return this.#range.nodes().map(formatHex);
  }

  async flush(draft: Draft): Promise<void> {
    for (const [key, hashes] of this.#added) {
      const before = (await draft.get(key)) ?? new Uint8Array(0);
      draft.put(key, concat(before, ...hashes));
    }
    this.#added.clear();
  }

  #keep({ level, index }: NodeId, hash: NodeHash): void {
    if (level % TILE_HEIGHT !== 0) return;
    const key = tileKey(level / TILE_HEIGHT, index / BigInt(TILE_WIDTH));
    const hashes = this.#added.get(key);
    if (hashes === undefined) this.#added.set(key, [hash]);
    else hashes.push(hash);
  }
}
