/**
 * Bundles ahead of the recorded head: an integrator stores them before it records, and a term that ends in between leaves them.
 * They have their place as long as all their entries are sequenced, and must be of these very entries: nobody could store others
 * there any more. Where row and bundle differ, the leaf hash that was written with the entry says which of the two is wrong.
 */

import { equalBytes } from "../../../kernel/bytes.ts";
import type { ErrorCode } from "../../../kernel/error-codes.ts";
import { isCodedError } from "../../../kernel/errors.ts";
import { formatHex } from "../../../kernel/hex.ts";
import type { LeafHash } from "../../../kernel/merkle/hash.ts";
import { TILE_WIDTH } from "../../../kernel/tile/coordinates.ts";
import { parseEntryBundle } from "../../../kernel/tile/entry-bundle.ts";
import type { Fault, Findings } from "../../fsck/finding.ts";
import { type FoundEntry, type Group, placeEntries } from "../../fsck/log-walk.ts";
import { integerAt, type Sql } from "../database.ts";
import { findLeaves } from "../sequence-table.ts";
import type { StoreFolder } from "./store-folder.ts";

/** What a bundle ahead is compared with. */
export interface AheadParts {
  readonly sql: Sql;
  /** Number of the log in the tables. */
  readonly log: bigint;
  readonly folder: StoreFolder;
  readonly findings: Findings;
}

/** The group as rows give it: its bundle is above the recorded head. */
export type AheadGroup = Pick<Group, "index" | "path" | "entries">;

/** Compares the bundle of a group, if there is one. @returns the entries; those that no row has, or a wrong one, from the bundle */
export async function readAhead(parts: AheadParts, group: AheadGroup): Promise<AheadGroup["entries"]> {
  const { index, entries } = group;
  // A full one of a group that is not full is no object of a log of this size, and is named as that.
  const stored = entries.length === TILE_WIDTH ? await readStored(parts, group) : [];
  const differing = stored.flatMap((each, i) => {
    const entry = entries[i];
    return entry === undefined || equalBytes(entry.leaf, each.leaf) ? [] : [{ i, entry, each }];
  });
  const start = index * BigInt(TILE_WIDTH);
  const isOf = await readPlaces(
    parts,
    differing.flatMap(({ entry, each }) => [entry.leaf, each.leaf]),
  );
  const result = Array.from(entries, (entry, i) => entry ?? stored[i]);
  const faults: Fault[] = [];
  for (const { i, entry, each } of differing) {
    const at = start + BigInt(i);
    const [isRow, isBundle] = [isOf(entry.leaf, at), isOf(each.leaf, at)];
    if (isBundle && !isRow) result[i] = { ...each, isSure: true };
    if (isRow || !isBundle) faults.push(faultOf(each, at, "ERR_TILE_DAMAGE", "its row has another entry"));
    if (!isRow) faults.push(faultOf(entry, at, "ERR_BATCH_DAMAGE", "its bundle has another entry"));
  }
  for (const fault of faults) if (!parts.findings.names(fault.path)) parts.findings.add(fault);
  return result;
}

async function readStored(
  { folder, findings }: AheadParts,
  { index, path }: AheadGroup,
): Promise<readonly FoundEntry[]> {
  const bytes = folder.isListed(path) ? await folder.read(path) : undefined;
  if (bytes === undefined) return [];
  try {
    return placeEntries(path, bytes, parseEntryBundle(bytes, TILE_WIDTH));
  } catch (error) {
    if (!isCodedError(error)) throw error;
    findings.add({ path, code: error.code, index: index * BigInt(TILE_WIDTH), message: error.message });
    return [];
  }
}

/** Whether the rows of leaf hashes say that a leaf is at an index. */
async function readPlaces(
  { sql, log }: AheadParts,
  leaves: readonly LeafHash[],
): Promise<(leaf: LeafHash, index: bigint) => boolean> {
  const found = new Map(
    (await findLeaves(sql, log, leaves, integerAt)).map(({ leaf, index }) => [formatHex(leaf), index]),
  );
  return (leaf, index) => found.get(formatHex(leaf)) === index;
}

function faultOf({ path, offset }: FoundEntry, index: bigint, code: ErrorCode, message: string): Fault {
  return { path, code, offset, index, message };
}
