/** The genesis entry of a data folder, without opening the log. */

import { isCodedError, StoreError } from "../../kernel/errors.ts";
import { type Genesis, parseGenesis } from "../../kernel/genesis.ts";
import { TILE_WIDTH } from "../../kernel/tile/coordinates.ts";
import { formatTilePath } from "../../kernel/tile/path.ts";
import type { DataFolder } from "./data-folder.ts";
import { firstEntryOf } from "./entry-reader.ts";
import { Findings } from "./finding.ts";
import { WalAudit } from "./wal-audit.ts";

/** The first entry of the log and the file that holds it; undefined if it cannot be read. */
export async function findFirstEntry(
  folder: DataFolder,
): Promise<{ readonly bytes: Uint8Array; readonly path: string } | undefined> {
  const path = formatTilePath({ kind: "entries", index: 0n, width: TILE_WIDTH });
  const bundle = await folder.read(path);
  const entry = bundle === undefined ? undefined : firstEntryOf(bundle);
  if (entry !== undefined) return { bytes: entry, path };
  // A batch that cannot be read is found by the walk.
  const quiet = new WalAudit(folder, new Findings());
  for await (const { firstIndex, entries, path: where } of quiet.parts()) {
    const [bytes] = entries;
    if (firstIndex === 0n && bytes !== undefined) return { bytes, path: where };
  }
  return undefined;
}

/**
 * Reads the genesis entry.
 *
 * @throws {StoreError} ERR_GENESIS_MISMATCH if there is none; as `parseGenesis`
 */
export async function readGenesisOf(folder: DataFolder): Promise<Genesis> {
  const found = await findFirstEntry(folder);
  if (found !== undefined) return parseGenesis(found.bytes);
  throw new StoreError("ERR_GENESIS_MISMATCH", "the folder has no genesis entry");
}

/**
 * Reads the first entry as a genesis entry; what is wrong with it becomes a finding.
 *
 * @param origin  the log must have it, if it is given
 * @returns undefined if it is none
 */
export function readGenesis(
  { bytes, path }: { readonly bytes: Uint8Array; readonly path: string },
  origin: string | undefined,
  findings: Findings,
): Genesis | undefined {
  try {
    const genesis = parseGenesis(bytes);
    if (origin === undefined || origin === genesis.origin) return genesis;
    findings.add({ path, code: "ERR_ORIGIN", index: 0n, message: `want ${origin}, got ${genesis.origin}` });
    return genesis;
  } catch (error) {
    if (!isCodedError(error)) throw error;
    findings.add({ path, code: error.code, index: 0n, message: error.message });
    return undefined;
  }
}
