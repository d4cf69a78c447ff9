/** Checks the objects that the walk does not read: partial tiles and bundles of published sizes, and names that are none. */

import { concatAll } from "../../../kernel/bytes.ts";
import { hashLeaf, type NodeHash } from "../../../kernel/merkle/hash.ts";
import { TILE_WIDTH, tileWidth } from "../../../kernel/tile/coordinates.ts";
import { formatEntryBundle } from "../../../kernel/tile/entry-bundle.ts";
import { formatTilePath, type TileRef } from "../../../kernel/tile/path.ts";
import type { Findings } from "../../fsck/finding.ts";
import { refOf } from "../../fsck/log-walk.ts";
import type { StoreFolder } from "./store-folder.ts";

/** What the objects are compared with. */
export interface ObjectAuditParts {
  readonly folder: StoreFolder;
  readonly findings: Findings;
  /** Of the derived log. */
  readonly size: bigint;
  readonly entriesOf: (bundle: bigint) => Promise<readonly Uint8Array[]>;
  /** Hashes of the growing tile of a level. */
  readonly edgeHashes: (level: number, index: bigint) => readonly NodeHash[] | undefined;
}

/** @param keys  of all objects below `tile/` */
export async function auditObjects(keys: readonly string[], parts: ObjectAuditParts): Promise<void> {
  for (const path of keys) {
    const ref = refOf(path);
    const width = ref === undefined ? 0 : tileWidth({ level: levelOf(ref), index: ref.index }, parts.size);
    if (ref === undefined || ref.width > width) {
      const message = "no tile or bundle of a log of this size";
      parts.findings.add({ path, code: "ERR_FILE_STRAY", message });
    } else if (ref.width < TILE_WIDTH) {
      await auditPartial(path, ref, parts);
    }
  }
}

async function auditPartial(path: string, ref: TileRef, parts: ObjectAuditParts): Promise<void> {
  const { folder, findings } = parts;
  const bytes = await folder.read(path);
  // An integrator removes those that a full one has taken the place of.
  if (bytes === undefined) return;
  const wanted = await wantedBytes(ref, parts);
  if (wanted === undefined) {
    findings.remark(path, "what it is cut from is missing or damaged: it was not compared");
    return;
  }
  const offset = firstDifference(bytes, wanted);
  if (offset === undefined) return;
  findings.add({ path, code: "ERR_TILE_DAMAGE", offset, message: "it is not the beginning of what the log derives" });
}

/** What a partial tile must be; undefined if that cannot be said. */
async function wantedBytes(ref: TileRef, parts: ObjectAuditParts): Promise<Uint8Array | undefined> {
  const { folder, findings, size } = parts;
  const { index, width } = ref;
  const full: TileRef = { ...ref, width: TILE_WIDTH };
  if (findings.names(formatTilePath(full))) return undefined;
  if (ref.kind === "hash" && tileWidth({ level: ref.level, index }, size) === TILE_WIDTH) {
    const bytes = await folder.read(formatTilePath(full));
    // A tile that is not written yet is made of entries that are in rows.
    if (bytes !== undefined || ref.level > 0) return bytes?.slice(0, width * (bytes.length / TILE_WIDTH));
  } else if (ref.kind === "hash" && ref.level > 0) {
    const hashes = parts.edgeHashes(ref.level, index);
    return hashes === undefined || hashes.length < width ? undefined : concatAll(hashes.slice(0, width));
  }
  const entries = (await parts.entriesOf(index)).slice(0, width);
  if (entries.length < width || Object.keys(entries).length < width) return undefined;
  return ref.kind === "hash" ? concatAll(entries.map(hashLeaf)) : formatEntryBundle(entries);
}

function levelOf(ref: TileRef): number {
  return ref.kind === "hash" ? ref.level : 0;
}

/** The first byte at which the two differ, the end of the shorter one included; undefined if they are equal. */
function firstDifference(a: Uint8Array, b: Uint8Array): number | undefined {
  const length = Math.max(a.length, b.length);
  for (let i = 0; i < length; i += 1) if (a[i] !== b[i]) return i;
  return undefined;
}
