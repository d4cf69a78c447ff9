/**
 * A disagreement between a stored tile and what was derived from below it. Exactly one of the two is usually damaged; a
 * third place says which, and until then the disagreement is carried along.
 */

import { HASH_BYTES, type NodeHash, parseNodeHash } from "../../kernel/merkle/hash.ts";
import { rootOfTile, TILE_WIDTH } from "../../kernel/tile/coordinates.ts";

/** The growing tile of a level. Hashes are undefined where neither entries nor tiles give them. */
export interface Row {
  readonly index: bigint;
  hashes: (NodeHash | undefined)[];
}

/** What disagrees in one tile. */
export interface Disagreement {
  /** Places of the tile at which the two differ. */
  readonly places: readonly number[];
  /** All hashes by the stored tile. */
  readonly version: readonly NodeHash[];
  readonly blameStored: () => void;
  readonly blameSource: () => void;
}

/** A disagreement that waits for a judge: its tile's hash stands at `place` of a row above. */
export interface Dispute extends Disagreement {
  readonly row: Row;
  readonly place: number;
}

/** Names both sides, where nobody can tell. */
export function blameBoth({ blameStored, blameSource }: Disagreement): void {
  blameStored();
  blameSource();
}

/** The hash of a full tile in the tile above; undefined if one of its hashes is not known. */
export function rootOfHashes(hashes: readonly (NodeHash | undefined)[]): NodeHash | undefined {
  const bytes = new Uint8Array(TILE_WIDTH * HASH_BYTES);
  for (let i = 0; i < TILE_WIDTH; i += 1) {
    const hash = hashes[i];
    if (hash === undefined) return undefined;
    bytes.set(hash, i * HASH_BYTES);
  }
  return rootOfTile(bytes);
}

/** The hashes of a full tile's bytes. */
export function hashesOfTile(bytes: Uint8Array): readonly NodeHash[] {
  return Array.from({ length: TILE_WIDTH }, (_, i) => parseNodeHash(bytes.slice(i * HASH_BYTES, (i + 1) * HASH_BYTES)));
}

/** Byte of a tile at which the hashes at `place` differ first. */
export function byteOfDifference(place: number, a: Uint8Array | undefined, b: Uint8Array | undefined): number {
  const first = Array.from({ length: HASH_BYTES }, (_, i) => i).find((i) => a?.[i] !== b?.[i]) ?? 0;
  return place * HASH_BYTES + first;
}
