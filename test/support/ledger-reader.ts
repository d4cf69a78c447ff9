/** Reads a ledger through its read path: checkpoints under a policy, every entry, the roots of the heads that were seen. */

import { equalBytes } from "../../kernel/bytes.ts";
import type { RootHash } from "../../kernel/merkle/hash.ts";
import { readRoot } from "../../kernel/merkle/prove.ts";
import { parseEntryBundle } from "../../kernel/tile/entry-bundle.ts";
import { formatTilePath, type TileRef } from "../../kernel/tile/path.ts";
import { makeTileHashReader } from "../../kernel/tile/tile-reader.ts";
import { openWitnessedCheckpoint, parseWitnessPolicy, type WitnessedCheckpoint } from "../../kernel/witness-policy.ts";
import { READ } from "./ledger-service.ts";

/** A tree head that a reader saw. */
export interface SeenHead {
  readonly size: bigint;
  readonly root: RootHash;
}

/** The published checkpoint, opened under `policy`; undefined before the first. */
export async function readPublished(url: string, policy: string): Promise<WitnessedCheckpoint | undefined> {
  const response = await fetch(`${url}/checkpoint`);
  if (response.status !== 200) return undefined;
  return openWitnessedCheckpoint(await response.text(), parseWitnessPolicy(policy));
}

/** The first `size` entries of the log. */
export async function readEntries(url: string, size: bigint): Promise<readonly Uint8Array[]> {
  const entries: Uint8Array[] = [];
  for (let index = 0n; index * 256n < size; index += 1n) {
    const width = Math.min(256, Number(size - index * 256n));
    entries.push(...parseEntryBundle(await readTile(url, { kind: "entries", index, width }), width));
  }
  return entries;
}

/** Checks that the log's hash tiles give the root of each head that was ever seen. */
export async function checkRoots(url: string, heads: readonly SeenHead[]): Promise<void> {
  for (const { size, root } of heads) {
    const derived = await readRoot(
      size,
      makeTileHashReader(size, (ref) => readTile(url, ref)),
    );
    if (!equalBytes(derived, root)) throw new Error(`the tiles give another root for size ${size} than was published`);
  }
}

async function readTile(url: string, ref: TileRef): Promise<Uint8Array> {
  const path = formatTilePath(ref);
  const response = await fetch(`${url}/${path}`, { headers: READ });
  if (response.status !== 200) throw new Error(`${path}: status ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
}
